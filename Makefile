# GMEM in user space. Targets: all (default), demo, test, bench, reproduce, check, install, uninstall, docs, deps, clean. See README.md.
# Variables: CC, CFLAGS, LDFLAGS, BUILD, PREFIX, LIBDIR, INCLUDEDIR, PYTHONDIR, DESTDIR; V=1 (show the commands); DEBUG=1 (assertions), SANITIZE=1 (address,undefined) or SANITIZE=thread
# (both for `make unit`; each has a build folder of its own). For packagers: RUNPATH= (libraries in the system's folders need
# none), WERROR= (warnings of another compiler are no errors), DEPS=no (never ask apt).
VERSION = 0.2.0
# The interface's generation: libgmem.so.$(ABI). A change that breaks programs makes a new one (CONTRIBUTING.md).
ABI = 0
comma = ,
CC ?= gcc
BUILD ?= build
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
PYTHONDIR ?= $(PREFIX)/lib/python3/dist-packages
DOCDIR ?= $(PREFIX)/share/doc/gmem
RUNPATH ?= yes
WERROR ?= -Werror
runpath = $(if $(RUNPATH),-Wl$(comma)-rpath$(comma)'$(1)')
CSTD = -std=gnu11
WARN = -Wall -Wextra $(WERROR) -Wno-unused-parameter
OPT = -O2 -g
CPPFLAGS += -D_GNU_SOURCE -DGMEM_VERSION='"$(VERSION)"' -Iinclude -I.
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
export ASAN_OPTIONS = handle_segv=0:handle_sigbus=0:handle_sigfpe=0:handle_sigill=0:allow_user_segv_handler=1:detect_leaks=0
export TSAN_OPTIONS = handle_segv=0:handle_sigbus=0:handle_sigfpe=0:handle_sigill=0:die_after_fork=0:suppressions=$(CURDIR)/test/shim/tsan.supp
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
# (dev_pad.c: why last, it says)
DEV_SRC = $(filter-out %/dev_pad.c,$(wildcard devsim/device/*.c)) devsim/device/dev_pad.c
PRELOAD_SRC = $(wildcard preload/*.[cS] preload/*/*.[cS])
TOOL_SRC = $(wildcard tools/*.c)
obj = $(patsubst %,$(BUILD)/%.o,$(basename $(1)))

all: $(BUILD)/libgmem.so $(BUILD)/libgmem_preload.so $(BUILD)/gmem-devsim $(BUILD)/gmem-report $(BUILD)/gmem-replay $(BUILD)/gmem-profile $(BUILD)/gmem-sweep $(BUILD)/gmem-top $(BUILD)/python/__main__.py

# ---- packages: looked for by file, apt is asked only when something is missing ------------------------------------
deps:
	@scripts/deps.sh build run test check omp gomp page mpi
deps-build deps-run deps-test deps-check deps-omp deps-gomp: deps-%:
	@scripts/deps.sh $*
# The other compilers of docs/compilers.md, for their tests (compilers_test.sh).
deps-compilers: deps-omp deps-gomp
	@scripts/compilers.sh $(BUILD)/compilers
.PHONY: deps deps-build deps-run deps-test deps-check deps-omp deps-gomp deps-compilers
need_build := $(if $(filter no,$(DEPS)),,$(if $(shell scripts/deps.sh -n build),deps-build))
need_test := $(if $(filter no,$(DEPS)),,$(if $(shell scripts/deps.sh -n test),deps-test))

# One short line for each command, unless V=1.
Q = $(if $(V),,@echo '  $(1)  $(patsubst $(BUILD)/%,%,$@)';)

# ---- objects and libraries ----------------------------------------------------------------------------------------
$(BUILD)/%.o: %.c | $(need_build)
	@mkdir -p $(@D)
	$(call Q,CC )$(CC) $(CPPFLAGS) $(CFLAGS_ALL) -MMD -MP -c $< -o $@
$(BUILD)/%.o: %.S | $(need_build)
	@mkdir -p $(@D)
	$(call Q,CC )$(CC) $(CPPFLAGS) $(CFLAGS_ALL) -MMD -MP -c $< -o $@

# What a rewritten system call runs before it knows that it may touch vector registers (preload/dispatch/site_call.c).
GENERAL_REGS = core/entry/hold.c core/page/thread.c core/page/registry.c preload/dispatch/site_call.c preload/syscalls/syscall_ranges.c
$(call obj,$(GENERAL_REGS)): CFLAGS_ALL += -mgeneral-regs-only

# The profiles of devices/ become a table of strings; what reads TOML is a tool, no part of the library.
DEVICES = $(sort $(wildcard devices/*.toml))
$(BUILD)/gmem-profile: tools/profile/profile.cc | $(need_build)
	@mkdir -p $(@D)
	$(call Q,CXX)$(CXX) -std=c++17 -O2 -g -Wall -Wextra $(WERROR) -Wno-unused-parameter $(LDFLAGS) -static-libstdc++ -static-libgcc -MMD -MP -o $@ $<
$(BUILD)/gen/devices.inc: $(DEVICES) $(BUILD)/gmem-profile
	@mkdir -p $(@D)
	$(call Q,GEN)$(BUILD)/gmem-profile --table $(DEVICES) >$@.new && mv $@.new $@
$(call obj,$(filter devsim/%,$(CORE_SRC))): CPPFLAGS += -I$(BUILD)/gen
$(call obj,$(filter devsim/%,$(CORE_SRC))): | $(BUILD)/gen/devices.inc

$(BUILD)/libgmem.so: $(call obj,$(CORE_SRC) $(INIT_SRC)) core/libgmem.map
	$(call Q,LD )$(CC) $(SANITIZE_FLAGS) $(LDFLAGS) -shared -Wl,-soname,libgmem.so.$(ABI) -Wl,--version-script=core/libgmem.map \
	    -Wl,-z,now,-Bsymbolic -o $@ $(call obj,$(CORE_SRC) $(INIT_SRC)) -lpthread
	@ln -sf $(@F) $@.$(ABI) # what programs that were linked with it ask for

# All of core with hidden symbols visible, for unit tests and the tool.
$(BUILD)/libgmem_core.a: $(call obj,$(CORE_SRC))
	$(call Q,AR )rm -f $@; $(AR) rcs $@ $^

# jemalloc's own mapping calls must not meet our hooks; two functions are adjusted (preload/heap/malloc*.c).
WRAP_SYMS = mmap munmap madvise mprotect je_sz_boot je_pa_alloc je_pa_dalloc $(patsubst %,je_large_%,malloc palloc ralloc) \
	    $(patsubst %,je_ehooks_default_%_impl,alloc purge_lazy purge_forced decommit zero)
WRAP = $(patsubst %,-Wl$(comma)--wrap=%,$(WRAP_SYMS))
JEMALLOC_A = $(BUILD)/libjemalloc_gmem.a
$(BUILD)/libgmem_preload.so: $(call obj,$(PRELOAD_SRC)) $(BUILD)/libgmem.so preload/libgmem_preload.map
	@objcopy $(foreach f,memalign aligned_alloc valloc realloc,--redefine-sym $(f)=gmp_je_$(f)) \
	    $$($(CC) -print-file-name=libjemalloc_pic.a) $(JEMALLOC_A)
	$(call Q,LD )$(CC) $(LDFLAGS) -shared -static-libgcc -Wl,-soname,libgmem_preload.so -Wl,--version-script=preload/libgmem_preload.map -Wl,-z,now,-z,defs,-Bsymbolic \
	    $(WRAP) $(call runpath,$$ORIGIN:$$ORIGIN/..) -o $@ $(call obj,$(PRELOAD_SRC)) -L$(BUILD) -lgmem $(JEMALLOC_A) -lm -ldl -lpthread

$(BUILD)/gmem-devsim: $(call obj,$(DEV_SRC))
	$(call Q,LD )$(CC) $(SANITIZE_FLAGS) $(LDFLAGS) -rdynamic -o $@ $^ -ldl -lpthread -lm

# elfutils' libdw, and libiberty for names of C++ (tools/symbol.c).
DWARF_LIBS = -ldw -lelf -llzma -lbz2 -lz -liberty
# The only user of jansson; static, so that the reporter starts fast and installs alone.
$(BUILD)/gmem-report: $(call obj,$(TOOL_SRC)) $(BUILD)/libgmem_core.a
	$(call Q,LD )$(CC) $(SANITIZE_FLAGS) $(LDFLAGS) -o $@ $(call obj,$(TOOL_SRC)) $(BUILD)/libgmem_core.a \
	    -Wl,-Bstatic -ljansson $(DWARF_LIBS) -Wl,-Bdynamic -lm -lpthread

# Core and the driver as they are, in another world: tools/replay/replay.h.
REPLAY_OBJ = $(call obj,$(wildcard tools/replay/*.c) tools/view.c tools/view_fields.c tools/view_json.c tools/verdict.c tools/symbol.c)
REPLAY_WRAP = $(patsubst %,-Wl$(comma)--wrap=%,gmi_futex_wait gmi_block_signals gmi_restore_signals)
$(BUILD)/gmem-replay: $(REPLAY_OBJ) $(BUILD)/libgmem_core.a
	$(call Q,LD )$(CC) $(SANITIZE_FLAGS) $(LDFLAGS) -o $@ $(REPLAY_OBJ) $(REPLAY_WRAP) -Wl,-u,gmc_offer $(BUILD)/libgmem_core.a \
	    -Wl,-Bstatic -ljansson $(DWARF_LIBS) -Wl,-Bdynamic -lm -lpthread

# Other names of gmem-report, which starts the part written in Python.
$(BUILD)/gmem-sweep $(BUILD)/gmem-top: $(BUILD)/gmem-report
	@ln -sf $(<F) $@

# What of the tools is Python, with all that it needs beside it: the schema of reports, and d3, which goes into every page.
D3 = /usr/share/nodejs/d3/dist/d3.min.js
PYTHON_SRC = $(shell find tools/python -name '*.py' -o -name 'page.*')
$(BUILD)/python/__main__.py: $(PYTHON_SRC) $(BUILD)/docs/report.schema.json $(wildcard $(D3)) | $(need_build)
	$(call Q,GEN)rm -rf $(@D) && mkdir -p $(@D)/gmem_tools && cp tools/python/*.py $(@D) && \
	    cp $(filter tools/python/gmem_tools/%,$^) $(BUILD)/docs/report.schema.json $(wildcard $(D3)) $(@D)/gmem_tools

# What names the version is made anew with it.
$(call obj,$(shell grep -rlw GMEM_VERSION core tools --include=*.c)) $(BUILD)/docs/man3.made $(BUILD)/docs/man/run-with-gmem.1: $(BUILD)/version
$(BUILD)/version: FORCE
	@mkdir -p $(@D) && { echo $(VERSION) | cmp -s - $@ || echo $(VERSION) >$@; }
.PHONY: FORCE

# ---- tests ----------------------------------------------------------------------------------------------------------
# test/unit: Criterion, linked with all of core. test/device: Criterion, linked with libgmem.so, with a device process.
# test/e2e: run.sh and *_test.sh, whole programs. Folders may add rules in a *.mk of their own.
UNIT = $(patsubst test/unit/%.c,$(BUILD)/test/unit/%,$(wildcard test/unit/test_*.c))
DEVICE_TESTS = $(patsubst test/device/%.c,$(BUILD)/test/device/%,$(wildcard test/device/test_*.c))
E2E = $(wildcard test/e2e/run.sh test/e2e/*_test.sh)
SHARED_GMEM = -L$(BUILD) -lgmem -Wl,-rpath,'$$ORIGIN/../..'

$(BUILD)/test/unit/%: TEST_LIBS = $(BUILD)/libgmem_core.a -Wl,-u,gmc_offer
$(BUILD)/test/unit/test_dev_heap: TEST_LIBS = $(call obj,devsim/device/dev_heap.c)
$(BUILD)/test/unit/test_dev_heap: $(call obj,devsim/device/dev_heap.c)
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
include reproduce/reproduce.mk debate/debate.mk

# ---- checks ---------------------------------------------------------------------------------------------------------
# (clang-format takes OpenMP's clauses apart)
SOURCES = $(shell find core devsim preload omp include tools bench debate reproduce examples test \( -name '*.[ch]' -o -name '*.cc' \) -not -path 'test/e2e/omp/*')
ASSEMBLY = $(shell find core preload omp -name '*.S')
SCRIPTS = $(wildcard scripts/*.sh bench/*.sh debate/*.sh reproduce/*.sh test/*.sh test/*/*.sh test/*/*/*.sh) .ci/run

check: | deps-build deps-test deps-check
	@$(MAKE) --no-print-directory check-format check-scripts check-cpp check-docs check-gcc check-clang
	@$(MAKE) --no-print-directory -s BUILD=build-gcc check-rooms check-relocations check-vectors check-fences
check-format:
	@clang-format --dry-run -Werror $(SOURCES)
	@scripts/check-width $(SOURCES) $(ASSEMBLY)
	@scripts/check-functions $(filter %.c,$(SOURCES))
	@scripts/check-names $(filter core/%.c devsim/%.c preload/%.c omp/%.c tools/%.c,$(SOURCES))
check-scripts:
	@scripts/mutants --check
	@shellcheck -x $(SCRIPTS)
check-cpp:
	@cppcheck --quiet --error-exitcode=1 --std=c11 --enable=warning,portability --inline-suppr -I. -Iinclude \
	    -D_GNU_SOURCE -D__x86_64__ --suppressions-list=.cppcheck core devsim preload tools omp
check-gcc check-clang: check-%:
	@$(MAKE) --no-print-directory -s CC=$* BUILD=build-$* all compile-tests
	@echo "$*: no warnings"
# The order of the folders, by the objects' symbols and the includes: scripts/rooms.txt.
check-rooms: all
	@scripts/check-rooms $(BUILD)
check-vectors: all
	@scripts/check-vectors $(BUILD)
check-fences: all
	@scripts/check-fences $(BUILD)
check-relocations: all
	@scripts/check-relocations.sh $(BUILD)/*.so $(BUILD)/omp/*.so*
compile-tests: $(UNIT) $(DEVICE_TESTS) examples bench-programs debate-programs $(REPRODUCE_DIR)/reproduce
.PHONY: check check-format check-scripts check-cpp check-gcc check-clang check-rooms check-relocations check-vectors check-fences compile-tests

# ---- documentation --------------------------------------------------------------------------------------------------
# Generated, and kept in the repository; make check sees to it that they are fresh.
DOCS = docs/rooms.md docs/options.md docs/report.md docs/report.schema.json docs/man/run-with-gmem.1
docs: $(DOCS:%=$(BUILD)/%) $(BUILD)/docs/man3.made
	for d in $(DOCS); do cp $(BUILD)/$$d $$d || exit 1; done
	rm -rf docs/man3 && cp -r $(BUILD)/docs/man3 docs/
check-docs: $(DOCS:%=$(BUILD)/%) $(BUILD)/docs/man3.made
	@for d in $(DOCS) docs/man3; do diff -rq $(BUILD)/$$d $$d || { echo "$$d is stale: run make docs" >&2; exit 1; }; done
	@awk 'length > 100 { print FILENAME ":" FNR ": longer than 100"; bad = 1 } END { exit bad }' README.md
	@scripts/check-ways
$(BUILD)/docs/options.md: docs/options.head.md $(BUILD)/gmem-report
	@mkdir -p $(@D)
	{ cat $<; $(BUILD)/gmem-report --options-markdown; \
	  printf '\n## Devices\n\n`gmem-report --profiles` prints:\n\n'; $(BUILD)/gmem-report --profiles | sed 's/^/    /'; } >$@
$(BUILD)/docs/rooms.md: docs/rooms.head.md scripts/check-rooms scripts/rooms.txt $(BUILD)/libgmem_preload.so $(BUILD)/gmem-devsim
	@mkdir -p $(@D)
	{ cat $<; scripts/check-rooms --picture $(BUILD); } >$@
$(BUILD)/docs/report.md: docs/report.head.md $(BUILD)/gmem-report
	@mkdir -p $(@D)
	{ cat $<; $(BUILD)/gmem-report --fields-markdown; } >$@
$(BUILD)/docs/report.schema.json: $(BUILD)/gmem-report
	@mkdir -p $(@D)
	$< --schema >$@
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
# What belongs together lies in one folder, LIBDIR/gmem, and is found relative to it; bin/ has links into it.
# `install` writes what it installs into a list, which `uninstall` takes away again.
MAN_SRC = $(filter-out %.in,$(wildcard docs/man/*.[1-9]*)) $(wildcard docs/man3/*.3)
EXAMPLES = $(wildcard examples/Makefile examples/*.[ch] examples/*.py examples/*/*.[ch] examples/*/*.cc)
LIST = $(DESTDIR)$(LIBDIR)/gmem/installed
put = $(foreach f,$(2),install -D -m $(1) $(f) $(DESTDIR)$(3)/$(notdir $(f)) && echo '$(3)/$(notdir $(f))' >>$(LIST) &&) :
put_link = install -d $(DESTDIR)$(dir $(2)) && ln -sf $(1) $(DESTDIR)$(2) && echo '$(2)' >>$(LIST)
put_template = install -d $(DESTDIR)$(2) && sed 's|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$(LIBDIR)|; s|@INCLUDEDIR@|$(INCLUDEDIR)|; s|@VERSION@|$(VERSION)|; \
	       s|@ABI@|$(ABI)|; s|@INCLUDE_FROM_HERE@|$(call relative,$(INCLUDEDIR),$(2))|' $(1) >$(DESTDIR)$(2)/$(notdir $(1:.in=)) && \
	       echo '$(2)/$(notdir $(1:.in=))' >>$(LIST)
relative = $(shell realpath -ms --relative-to=$(2) $(1))
install: all
	@install -d $(DESTDIR)$(LIBDIR)/gmem && echo '$(LIBDIR)/gmem/installed' >$(LIST)
	@install -D -m 755 $(BUILD)/libgmem.so $(DESTDIR)$(LIBDIR)/libgmem.so.$(VERSION) && echo '$(LIBDIR)/libgmem.so.$(VERSION)' >>$(LIST)
	@$(call put_link,libgmem.so.$(VERSION),$(LIBDIR)/libgmem.so.$(ABI))
	@$(call put_link,libgmem.so.$(ABI),$(LIBDIR)/libgmem.so)
	@$(call put,755,$(BUILD)/libgmem_preload.so $(BUILD)/gmem-devsim $(BUILD)/gmem-report $(BUILD)/gmem-replay $(BUILD)/gmem-profile \
	    scripts/run-with-gmem.sh,$(LIBDIR)/gmem)
	@$(foreach t,gmem-sweep gmem-top,$(call put_link,gmem-report,$(LIBDIR)/gmem/$(t)) &&) :
	@$(call put,644,$(wildcard $(BUILD)/python/*.py),$(LIBDIR)/gmem/python)
	@$(call put,644,$(wildcard $(BUILD)/python/gmem_tools/*.*),$(LIBDIR)/gmem/python/gmem_tools)
	@$(call put,755,$(OMP_PLUGINS) $(OMP_PARALLEL) $(OMP_MODULE),$(LIBDIR)/gmem/omp)
	@$(call put,644,$(OMP_FLANG),$(LIBDIR)/gmem/omp)
	@$(call put_link,libomptarget.rtl.x86_64.so,$(LIBDIR)/gmem/omp/$(notdir $(OMP_NEXTGEN)))
	@$(foreach t,gmem-report gmem-profile gmem-sweep gmem-top,$(call put_link,$(call relative,$(LIBDIR)/gmem,$(PREFIX)/bin)/$(t),$(PREFIX)/bin/$(t)) &&) :
	@$(call put_link,$(call relative,$(LIBDIR)/gmem,$(PREFIX)/bin)/run-with-gmem.sh,$(PREFIX)/bin/run-with-gmem)
	@$(call put_link,run-with-gmem,$(PREFIX)/bin/run-with-gmem.sh)
	@$(call put,644,$(wildcard include/gmem/*.h),$(INCLUDEDIR)/gmem)
	@$(call put_template,packaging/gmem.pc.in,$(LIBDIR)/pkgconfig)
	@$(call put_template,packaging/gmemConfig.cmake.in,$(LIBDIR)/cmake/gmem)
	@$(call put_template,packaging/gmemConfigVersion.cmake.in,$(LIBDIR)/cmake/gmem)
	@$(call put,644,$(DEVICES),$(PREFIX)/share/gmem/devices)
	@$(call put,644,docs/report.schema.json tools/gmem.gdb,$(PREFIX)/share/gmem)
	@$(call put,644,python/gmem.py,$(PYTHONDIR))
	@$(foreach m,$(MAN_SRC),$(call put,644,$(m),$(PREFIX)/share/man/man$(patsubst .%,%,$(suffix $(m)))) &&) :
	@$(call put_link,run-with-gmem.1,$(PREFIX)/share/man/man1/run-with-gmem.sh.1)
	@$(call put,644,README.md CHANGELOG.md LICENSE,$(DOCDIR))
	@$(call put,644,$(filter-out %.head.md,$(wildcard docs/*.md)),$(DOCDIR)/docs)
	@$(call put,644,$(wildcard docs/pictures/*.png),$(DOCDIR)/docs/pictures)
	@$(foreach f,$(EXAMPLES),$(call put,644,$(f),$(DOCDIR)/$(patsubst %/,%,$(dir $(f)))) &&) :
	@echo "installed in $(DESTDIR)$(PREFIX), libraries in $(DESTDIR)$(LIBDIR)"
uninstall:
	@[ -f $(LIST) ] || { echo "nothing is installed in $(DESTDIR)$(LIBDIR)" >&2; exit 1; }
	@sed 's|^|$(DESTDIR)|' $(LIST) >$(BUILD)/uninstall.list
	@xargs -d '\n' rm -f <$(BUILD)/uninstall.list
	@xargs -d '\n' -n 1 dirname <$(BUILD)/uninstall.list | sort -ru | grep '/gmem\(/\|$$\)' | xargs -d '\n' rmdir --ignore-fail-on-non-empty 2>/dev/null || true
.PHONY: install uninstall

clean:
	rm -rf build build-debug build-sanitize build-sanitize-thread build-gcc build-clang
.PHONY: clean
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
