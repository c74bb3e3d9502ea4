# Programs that run again for other CPU back ends and device page sizes (test/variant.h); sigsegv-64K is the plain run.
# `make behaviours` prints which documented behaviours are tested. A run is a small script, named after the program and the variant.
ALL_VARIANTS = sigsegv-4K sigsegv-2M uffd-64K uffd-4K uffd-2M
BEHAVIOURS = $(patsubst test/%.c,%,$(wildcard test/device/test_behaviours*.c))
VARIANT_RUNS = $(foreach v,$(ALL_VARIANTS),$(foreach t,unit/test_migrate $(BEHAVIOURS),$(t).$(v))) \
	       $(foreach t,devices fork hints inject policy stress vm,unit/test_$(t).uffd-64K) \
	       $(foreach t,kinds litmus spaces,device/test_$(t).uffd-64K) \
	       $(foreach v,sigsegv-4K sigsegv-2M uffd-64K,unit/test_reference.$(v))
# ThreadSanitizer cannot see that a userfaultfd handler and the faulting thread are ordered by the kernel.
ifeq ($(SANITIZE),thread)
VARIANT_RUNS := $(foreach r,$(VARIANT_RUNS),$(if $(findstring uffd,$(r)),,$(r)))
endif
UNIT += $(patsubst %,$(BUILD)/test/%,$(filter unit/%,$(VARIANT_RUNS)))
DEVICE_TESTS += $(patsubst %,$(BUILD)/test/%,$(filter device/%,$(VARIANT_RUNS)))

define variant_rule
$(BUILD)/test/$(1): $(BUILD)/test/$(basename $(1))
	@printf '#!/bin/sh\nTEST_VARIANT=%s exec "$$$$(dirname "$$$$0")/%s" "$$$$@"\n' $(patsubst .%,%,$(suffix $(1))) $(notdir $(basename $(1))) >$$@
	@chmod +x $$@
endef
$(foreach r,$(VARIANT_RUNS),$(eval $(call variant_rule,$(r))))

behaviours:
	@scripts/check-behaviours.sh
check: behaviours
.PHONY: behaviours
