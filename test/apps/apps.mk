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
# Breaks the sources in one line at a time and sees who notices; docs/mutants.md is what came of it. MUTANTS: only these;
# TIMES: runs of each test; MINUTES: no other is begun after so many.
mutants: | deps-build deps-test
	@BUILD=$(BUILD) scripts/mutants --times $(or $(TIMES),1) $(if $(MINUTES),--minutes $(MINUTES)) --table docs/mutants.md $(MUTANTS)
# Whole programs while the device is killed and steps fail at random; docs/attack.md is what came of it. KILLS, FAULTS: runs of each;
# MINUTES: no other is begun after so many; SEED: of the first.
attack: all | deps-run deps-test
	@BUILD=$(BUILD) test/apps/attack --kills $(or $(KILLS),1000) --faults $(or $(FAULTS),1000) $(if $(MINUTES),--minutes $(MINUTES)) \
	    $(if $(SEED),--seed $(SEED)) --table docs/attack.md
.PHONY: deps-apps test-apps soak test-contract mutants attack
