#!/bin/bash
# Holds the time model against closed forms and published tables, and writes docs/validate.md. Exit status 1: a row that must
# agree does not. usage: validate.sh   (BUILD: build folder)
set -u
cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-build}
unset "${!GMEM_@}" LD_PRELOAD
export GMEM_REPORT=none
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
make --no-print-directory -s BUILD="$BUILD" bench-programs || exit 1

"$BUILD/bench/validate" >"$tmp/closed"
status=$?
{
	cat docs/validate.head.md
	printf '\n## Closed forms\n\n| kernel, 8 MiB, four launches | placement | link | by hand, ms | modelled, ms | error |\n|---|---|---|---|---|---|\n'
	cat "$tmp/closed"
	cat docs/validate.tail.md
} >"$tmp/validate.md" && mv "$tmp/validate.md" docs/validate.md
exit $status
