# Included by the Makefile: long runs that are not part of `make test`. APPS: a regular expression of names, e.g. cpython/io.
# RUNTIMES: names, e.g. go-cgo; see runtimes_test.sh.
deps-apps:
	@scripts/deps.sh apps
test-apps: all | deps-run deps-test deps-apps
	BUILD=$(BUILD) test/apps/runtimes_test.sh $(RUNTIMES)
	BUILD=$(BUILD) test/apps/apps_test.sh $(APPS)
# An hour of them; docs/soak.md gets a line for each ten minutes.
soak: all | deps-run deps-test deps-apps
	BUILD=$(BUILD) test/apps/soak.sh
test-contract: all | deps-run deps-test
	BUILD=$(BUILD) CHAOS_ROUNDS=5 test/run.sh test/e2e/contracts_test.sh
# Breaks the sources in one line at a time and sees who notices; docs/mutants.md is what came of it. MUTANTS: only these, without
# the table; TIMES: runs of each test.
mutants: | deps-build deps-test
	@BUILD=$(BUILD) scripts/mutants --times $(or $(TIMES),1) --table docs/mutants.md $(MUTANTS)
.PHONY: deps-apps test-apps soak test-contract mutants
