# GMEM in user space. Targets: all (default), demo, test, bench, reproduce, check, install, uninstall, docs, deps, clean. See README.md.
# Variables: CC, CFLAGS, BUILD, PREFIX, DESTDIR; V=1 (show the commands); DEBUG=1 (assertions), SANITIZE=1 (address,undefined) or SANITIZE=thread
# (both for `make unit`; each has a build folder of its own).
VERSION = 0.1.0
comma = ,
CC ?= gcc
BUILD ?= build
PREFIX ?= /usr/local
CSTD = -std=gnu11
WARN = -Wall -Wextra -Werror -Wno-unused-parameter
OPT = -O2 -g
CPPFLAGS += -D_GNU_SOURCE -Iinclude -I.
CFLAGS_ALL = $(CSTD) $(WARN) $(OPT) -fPIC -fvisibility=hidden -ftls-model=initial-exec -fno-omit-frame-pointer \
	     -fno-common $(SANITIZE_FLAGS) $(CFLAGS)
ifeq ($(DEBUG),1)
BUILD := build-debug
CPPFLAGS += -DGM_DEBUG
OPT = -O1 -g3
endif
ifneq ($(SANITIZE),)
BUILD := build-sanitize$(if $(filter thread,$(SANITIZE)),-thread)
CPPFLAGS += -DGM_DEBUG
OPT = -O1 -g
SANITIZE_FLAGS = -fsanitize=$(if $(filter 1,$(SANITIZE)),address$(comma)undefined,$(SANITIZE)) -fno-sanitize-recover=all
# Tests that die of SIGSEGV on purpose do; forked children have several threads' locks.
export ASAN_OPTIONS = handle_segv=0:allow_user_segv_handler=1:detect_leaks=0
export TSAN_OPTIONS = handle_segv=0:die_after_fork=0:suppressions=$(CURDIR)/test/shim/tsan.supp
export TEST_STEPS ?= 40000
endif
CRITERION = -lcriterion
ifeq ($(SANITIZE),thread)
CRITERION =
CPPFLAGS := -Itest/shim $(CPPFLAGS)
endif

# init.c reads the environment of programs that link libgmem.so: not for tests and tools, and last in the link.
CORE_SRC = $(filter-out core/entry/init.c,$(wildcard core/*/*.c core/*/*.S devsim/driver/*.c))
INIT_SRC = core/entry/init.c
DEV_SRC = $(wildcard devsim/device/*.c)
PRELOAD_SRC = $(wildcard preload/*.c preload/*/*.c preload/*/*.S)
TOOL_SRC = $(wildcard tools/*.c)
obj = $(patsubst %,$(BUILD)/%.o,$(basename $(1)))

all: $(BUILD)/libgmem.so $(BUILD)/libgmem_preload.so $(BUILD)/gmem-devsim $(BUILD)/gmem-report $(BUILD)/gmem-profile

# ---- packages: looked for by file, apt is asked only when something is missing ------------------------------------
deps:
	@scripts/deps.sh build run test check omp
deps-build deps-run deps-test deps-check deps-omp: deps-%:
	@scripts/deps.sh $*
.PHONY: deps deps-build deps-run deps-test deps-check deps-omp
need_build := $(if $(shell scripts/deps.sh -n build),deps-build)
need_test := $(if $(shell scripts/deps.sh -n test),deps-test)

# One short line for each command, unless V=1.
Q = $(if $(V),,@echo '  $(1)  $(patsubst $(BUILD)/%,%,$@)';)

# ---- objects and libraries ----------------------------------------------------------------------------------------
$(BUILD)/%.o: %.c | $(need_build)
	@mkdir -p $(@D)
	$(call Q,CC )$(CC) $(CPPFLAGS) $(CFLAGS_ALL) -MMD -MP -c $< -o $@
$(BUILD)/%.o: %.S | $(need_build)
	@mkdir -p $(@D)
	$(call Q,CC )$(CC) $(CPPFLAGS) $(CFLAGS_ALL) -MMD -MP -c $< -o $@

# The profiles of devices/ become a table of strings; what reads TOML is a tool, no part of the library.
DEVICES = $(sort $(wildcard devices/*.toml))
$(BUILD)/gmem-profile: tools/profile/profile.cc | $(need_build)
	@mkdir -p $(@D)
	$(call Q,CXX)$(CXX) -std=c++17 -O2 -g -Wall -Wextra -Werror -Wno-unused-parameter -static-libstdc++ -static-libgcc -MMD -MP -o $@ $<
$(BUILD)/gen/devices.inc: $(DEVICES) $(BUILD)/gmem-profile
	@mkdir -p $(@D)
	$(call Q,GEN)$(BUILD)/gmem-profile --table $(DEVICES) >$@.new && mv $@.new $@
$(call obj,$(filter devsim/%,$(CORE_SRC))): CPPFLAGS += -I$(BUILD)/gen
$(call obj,$(filter devsim/%,$(CORE_SRC))): | $(BUILD)/gen/devices.inc

$(BUILD)/libgmem.so: $(call obj,$(CORE_SRC) $(INIT_SRC)) core/libgmem.map
	$(call Q,LD )$(CC) $(SANITIZE_FLAGS) -shared -Wl,-soname,libgmem.so -Wl,--version-script=core/libgmem.map \
	    -Wl,-z,now,-Bsymbolic-functions -o $@ $(call obj,$(CORE_SRC) $(INIT_SRC)) -lpthread

# All of core with hidden symbols visible, for unit tests and the tool.
$(BUILD)/libgmem_core.a: $(call obj,$(CORE_SRC))
	$(call Q,AR )rm -f $@; $(AR) rcs $@ $^

# jemalloc's own mapping calls must not meet our hooks; two functions are adjusted (preload/heap/malloc*.c).
WRAP_SYMS = mmap munmap madvise mprotect je_sz_boot je_pa_dalloc $(patsubst %,je_large_%,malloc palloc ralloc) \
	    $(patsubst %,je_ehooks_default_%_impl,alloc purge_lazy purge_forced decommit zero)
WRAP = $(patsubst %,-Wl$(comma)--wrap=%,$(WRAP_SYMS))
JEMALLOC_A = $(BUILD)/libjemalloc_gmem.a
$(BUILD)/libgmem_preload.so: $(call obj,$(PRELOAD_SRC)) $(BUILD)/libgmem.so preload/libgmem_preload.map
	@objcopy $(foreach f,memalign aligned_alloc valloc realloc,--redefine-sym $(f)=gmp_je_$(f)) \
	    $$($(CC) -print-file-name=libjemalloc_pic.a) $(JEMALLOC_A)
	$(call Q,LD )$(CC) -shared -static-libgcc -Wl,-soname,libgmem_preload.so -Wl,--version-script=preload/libgmem_preload.map -Wl,-z,now,-z,defs \
	    $(WRAP) -Wl,-rpath,'$$ORIGIN' -o $@ $(call obj,$(PRELOAD_SRC)) -L$(BUILD) -lgmem $(JEMALLOC_A) -lm -ldl -lpthread

$(BUILD)/gmem-devsim: $(call obj,$(DEV_SRC))
	$(call Q,LD )$(CC) $(SANITIZE_FLAGS) -rdynamic -o $@ $^ -ldl -lpthread -lm

# The only user of jansson; static, so that the reporter starts fast and installs alone.
$(call obj,$(TOOL_SRC)): CPPFLAGS += -DGMEM_VERSION='"$(VERSION)"'
$(BUILD)/gmem-report: $(call obj,$(TOOL_SRC)) $(BUILD)/libgmem_core.a
	$(call Q,LD )$(CC) $(SANITIZE_FLAGS) -o $@ $(call obj,$(TOOL_SRC)) $(BUILD)/libgmem_core.a \
	    -Wl,-Bstatic -ljansson -Wl,-Bdynamic -lpthread

# ---- tests ----------------------------------------------------------------------------------------------------------
# test/unit: Criterion, linked with all of core. test/device: Criterion, linked with libgmem.so, with a device process.
# test/e2e: run.sh and *_test.sh, whole programs. Folders may add rules in a *.mk of their own.
UNIT = $(patsubst test/unit/%.c,$(BUILD)/test/unit/%,$(wildcard test/unit/test_*.c))
DEVICE_TESTS = $(patsubst test/device/%.c,$(BUILD)/test/device/%,$(wildcard test/device/test_*.c))
E2E = $(wildcard test/e2e/run.sh test/e2e/*_test.sh)
SHARED_GMEM = -L$(BUILD) -lgmem -Wl,-rpath,'$$ORIGIN/../..'

$(BUILD)/test/unit/%: TEST_LIBS = $(BUILD)/libgmem_core.a
$(BUILD)/test/unit/test_report: TEST_LIBS = $(SHARED_GMEM) # starts the reporter, which is found beside the library
$(BUILD)/test/unit/test_report: $(BUILD)/libgmem.so $(BUILD)/gmem-report
$(BUILD)/test/unit/%: test/unit/%.c $(BUILD)/libgmem_core.a | $(need_test)
	@mkdir -p $(@D)
	$(call Q,CC )$(CC) $(CPPFLAGS) $(CFLAGS_ALL) -MMD -MP -o $@ $< $(TEST_LIBS) $(CRITERION) -lpthread -ldl -lm
$(BUILD)/test/device/%: test/device/%.c $(BUILD)/libgmem.so $(BUILD)/gmem-devsim $(BUILD)/gmem-report | $(need_test)
	@mkdir -p $(@D)
	$(call Q,CC )$(CC) $(CPPFLAGS) $(CFLAGS_ALL) -MMD -MP -o $@ $< $(SHARED_GMEM) $(CRITERION) -lpthread -ldl -lm

-include $(wildcard test/*/*.mk)

unit: $(UNIT)
	@BUILD=$(BUILD) test/run.sh $(UNIT)
device: all $(DEVICE_TESTS)
	@BUILD=$(BUILD) test/run.sh $(DEVICE_TESTS)
e2e: all examples examples-openmp | deps-run deps-test deps-omp
	@BUILD=$(BUILD) test/run.sh $(E2E)
test: all examples examples-openmp $(UNIT) $(DEVICE_TESTS) | deps-run deps-test deps-omp
	@BUILD=$(BUILD) test/run.sh $(UNIT) $(DEVICE_TESTS) $(E2E)
.PHONY: all unit device e2e test

demo: all | deps-run
	BUILD=$(BUILD) scripts/run-with-gmem.sh --report text -- /usr/bin/python3 examples/numpy_demo.py
.PHONY: demo

include omp/omp.mk
include bench/bench.mk examples/examples.mk
include reproduce/reproduce.mk

# ---- checks ---------------------------------------------------------------------------------------------------------
# (clang-format takes OpenMP's clauses apart)
SOURCES = $(shell find core devsim preload omp include tools bench reproduce examples test \( -name '*.[ch]' -o -name '*.cc' \) -not -path 'test/e2e/omp/*')
SCRIPTS = $(wildcard scripts/*.sh bench/*.sh reproduce/*.sh test/*.sh test/*/*.sh test/*/*/*.sh) .ci/run

check: | deps-build deps-test deps-check
	@$(MAKE) --no-print-directory check-format check-scripts check-cpp check-docs check-gcc check-clang
check-format:
	@clang-format --dry-run -Werror $(SOURCES)
check-scripts:
	@shellcheck -x $(SCRIPTS)
check-cpp:
	@cppcheck --quiet --error-exitcode=1 --std=c11 --enable=warning,portability --inline-suppr -I. -Iinclude \
	    -D_GNU_SOURCE -D__x86_64__ --suppressions-list=.cppcheck core devsim preload tools omp
check-gcc check-clang: check-%:
	@$(MAKE) --no-print-directory -s CC=$* BUILD=build-$* all compile-tests
	@echo "$*: no warnings"
compile-tests: $(UNIT) $(DEVICE_TESTS) examples bench-programs $(REPRODUCE_DIR)/reproduce
.PHONY: check check-format check-scripts check-cpp check-gcc check-clang compile-tests

# ---- documentation --------------------------------------------------------------------------------------------------
# Generated, and kept in the repository; make check sees to it that they are fresh.
DOCS = docs/options.md docs/man/run-with-gmem.1
docs: $(DOCS:%=$(BUILD)/%) $(BUILD)/docs/man3.made
	for d in $(DOCS); do cp $(BUILD)/$$d $$d || exit 1; done
	rm -rf docs/man3 && cp -r $(BUILD)/docs/man3 docs/
check-docs: $(DOCS:%=$(BUILD)/%) $(BUILD)/docs/man3.made
	@for d in $(DOCS) docs/man3; do diff -rq $(BUILD)/$$d $$d || { echo "$$d is stale: run make docs" >&2; exit 1; }; done
$(BUILD)/docs/options.md: docs/options.head.md $(BUILD)/gmem-report
	@mkdir -p $(@D)
	{ cat $<; $(BUILD)/gmem-report --options-markdown; \
	  printf '\n## Devices\n\n`gmem-report --profiles` prints:\n\n'; $(BUILD)/gmem-report --profiles | sed 's/^/    /'; } >$@
$(BUILD)/docs/man/%.1: docs/man/%.1.in $(BUILD)/gmem-report
	@mkdir -p $(@D)
	$(BUILD)/gmem-report --options | sed 's/^  --/.TP\n.B --/; s/^  *//; s/-/\\-/g; s/ *valid:/.br\nValid:/' >$@.options
	sed -e '/@OPTIONS@/{r $@.options' -e 'd}' -e 's/@VERSION@/$(VERSION)/' $< >$@
# Section 3: from the comments of the public headers; a function without one is an error.
$(BUILD)/docs/man3.made: scripts/man3.awk $(wildcard include/gmem/*.h)
	@rm -rf $(@:.made=) && mkdir -p $(@:.made=)
	awk -v out=$(@:.made=) -v version=$(VERSION) -f $< include/gmem/*.h
	@touch $@
.PHONY: docs check-docs

# ---- installation ---------------------------------------------------------------------------------------------------
D = $(DESTDIR)$(PREFIX)
INSTALLED = lib/libgmem.so lib/libgmem_preload.so lib/gmem/gmem-devsim $(addprefix lib/gmem/omp/,$(notdir $(OMP_PLUGIN) $(OMP_MODULE))) bin/gmem-report bin/gmem-profile \
	    bin/run-with-gmem.sh $(DEVICES:%=share/gmem/%) \
	    lib/pkgconfig/gmem.pc $(patsubst include/%,include/%,$(wildcard include/gmem/*.h)) $(MAN_PAGES)
MAN_SRC = $(wildcard docs/man/*.[1-9] docs/man3/*.3)
MAN_PAGES = $(foreach m,$(notdir $(MAN_SRC)),share/man/man$(patsubst .%,%,$(suffix $(m)))/$(m))
install: all
	install -d $(D)/lib/gmem/omp $(D)/lib/pkgconfig $(D)/bin $(D)/include/gmem $(D)/share/gmem/devices $(addprefix $(D)/,$(sort $(dir $(MAN_PAGES))))
	install -m 755 $(BUILD)/libgmem.so $(BUILD)/libgmem_preload.so $(D)/lib/
	install -m 755 $(BUILD)/gmem-devsim $(D)/lib/gmem/
	install -m 755 $(OMP_PLUGIN) $(OMP_MODULE) $(D)/lib/gmem/omp/
	install -m 755 $(BUILD)/gmem-report $(BUILD)/gmem-profile scripts/run-with-gmem.sh $(D)/bin/
	install -m 644 $(DEVICES) $(D)/share/gmem/devices/
	install -m 644 include/gmem/*.h $(D)/include/gmem/
	for m in $(MAN_SRC); do install -m 644 $$m $(D)/share/man/man$${m##*.}/ || exit 1; done
	sed 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(VERSION)|' gmem.pc.in >$(D)/lib/pkgconfig/gmem.pc
uninstall:
	rm -f $(addprefix $(D)/,$(INSTALLED))
	-rmdir $(D)/lib/gmem/omp $(D)/lib/gmem $(D)/include/gmem $(D)/share/gmem/devices $(D)/share/gmem 2>/dev/null
.PHONY: install uninstall

clean:
	rm -rf build build-debug build-sanitize build-sanitize-thread build-gcc build-clang
.PHONY: clean
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
