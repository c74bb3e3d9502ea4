# GMEM in user space. Targets: all (default), deps, demo, test, bench, check, install, clean. See README.md.
CC ?= gcc
BUILD ?= build
PREFIX ?= /usr/local
CSTD = -std=gnu11
WARN = -Wall -Wextra -Werror -Wno-unused-parameter
OPT = -O2 -g
CPPFLAGS += -D_GNU_SOURCE -Iinclude -I.
CFLAGS_ALL = $(CSTD) $(WARN) $(OPT) -fPIC -fvisibility=hidden -ftls-model=initial-exec -fno-omit-frame-pointer \
	     -fno-common $(CFLAGS)
ifeq ($(DEBUG),1)
BUILD := build-debug
CPPFLAGS += -DGM_DEBUG
OPT = -O1 -g3
endif

CORE_SRC = $(wildcard core/*.c) $(wildcard core/*.S) $(wildcard devsim/sim_*.c)
DEV_SRC = $(wildcard devsim/dev_*.c)
PRELOAD_SRC = $(wildcard preload/*.c) $(wildcard preload/*.S)
obj = $(patsubst %,$(BUILD)/%.o,$(basename $(1)))

all: $(BUILD)/libgmem.so $(BUILD)/libgmem_preload.so $(BUILD)/gmem-devsim

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS_ALL) -MMD -MP -c $< -o $@
$(BUILD)/%.o: %.S
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS_ALL) -c $< -o $@

$(BUILD)/libgmem.so: $(call obj,$(CORE_SRC)) core/libgmem.map
	$(CC) -shared -Wl,-soname,libgmem.so -Wl,--version-script=core/libgmem.map -Wl,-z,now -o $@ $(call obj,$(CORE_SRC)) -lpthread

# All of core with hidden symbols visible, for unit tests.
$(BUILD)/libgmem_core.a: $(call obj,$(CORE_SRC))
	rm -f $@; $(AR) rcs $@ $^

# jemalloc's own mapping calls must not meet our hooks; two functions are adjusted (preload/malloc*.c).
WRAP = -Wl,--wrap=mmap,--wrap=munmap,--wrap=madvise,--wrap=mprotect -Wl,--wrap=je_sz_boot,--wrap=je_pa_dalloc
JEMALLOC_A = $(BUILD)/libjemalloc_gmem.a
$(BUILD)/libgmem_preload.so: $(call obj,$(PRELOAD_SRC)) $(BUILD)/libgmem.so preload/libgmem_preload.map
	objcopy $(foreach f,memalign aligned_alloc valloc realloc,--redefine-sym $(f)=gmp_je_$(f)) \
	    $$($(CC) -print-file-name=libjemalloc_pic.a) $(JEMALLOC_A)
	$(CC) -shared -Wl,-soname,libgmem_preload.so -Wl,--version-script=preload/libgmem_preload.map -Wl,-z,now \
	    $(WRAP) -Wl,-rpath,'$$ORIGIN' -o $@ $(call obj,$(PRELOAD_SRC)) -L$(BUILD) -lgmem $(JEMALLOC_A) -lm -ldl -lpthread

$(BUILD)/gmem-devsim: $(call obj,$(DEV_SRC))
	$(CC) -rdynamic -o $@ $^ -ldl -lpthread -lm

UNIT = $(patsubst test/unit/%.c,$(BUILD)/test/unit/%,$(wildcard test/unit/test_*.c))
$(BUILD)/test/unit/%: test/unit/%.c $(BUILD)/libgmem_core.a
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS_ALL) -MMD -MP -o $@ $< $(BUILD)/libgmem_core.a -lcriterion -lpthread -ldl
unit: $(UNIT)
	@for t in $(UNIT); do $$t || exit 1; done

clean:
	rm -rf build build-debug
.PHONY: all unit clean
-include bench/bench.mk
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
