# shellcheck shell=bash
# The shell itself: arrays, functions, arithmetic, pipes, substitutions, here-documents, traps, jobs.
declare -A seen
for i in {1..3000}; do
	seen[$((i * 7919 % 1009))]+="$i "
done
echo "${#seen[@]} keys, ${seen[17]}"
fib() { (($1 < 2)) && echo "$1" || echo $(($(fib $(($1 - 1))) + $(fib $(($1 - 2))))); }
fib 11
seq 1 20000 | tr '\n' ' ' | wc -c
while read -r a b; do echo "$b:$a"; done < <(paste <(seq 1 5) <(seq 6 10))
tr abc xyz <<-END
	here-document $((6 * 7))
	END
trap 'echo "got USR1"' USR1
kill -USR1 $$
(trap 'echo bye; exit 3' EXIT; true)
echo "subshell $?"
for i in 1 2 3; do (exit "$i") & pids[i]=$!; done
for i in 1 2 3; do wait "${pids[i]}"; echo "job $i: $?"; done
set -o pipefail
false | true || echo "pipefail $?"
s=$(printf 'x%.0s' {1..5000}); echo "${#s} ${s//x/yy}" | md5sum
coproc CAT { cat; }
echo through a coprocess >&"${CAT[1]}"
read -r line <&"${CAT[0]}"
echo "$line"
(bash -c 'kill -SEGV $$'; exit $?) 2>/dev/null
echo "a shell killed by SIGSEGV: $?"
