# Included by the Makefile: the example programs.
$(BUILD)/examples/linked: examples/linked/linked.c $(BUILD)/libgmem.so
	@mkdir -p $(@D)
	$(call Q,CC )$(CC) $(CPPFLAGS) $(CFLAGS_ALL) -MMD -MP -o $@ $< -L$(BUILD) -lgmem -Wl,-rpath,'$$ORIGIN/..'
$(BUILD)/examples/linked_kernels.so: examples/linked/kernels.c
	@mkdir -p $(@D)
	$(call Q,CC )$(CC) $(CPPFLAGS) $(CFLAGS_ALL) -MMD -MP -shared -o $@ $<
MINIMAL_SRC = $(wildcard examples/minimal_*.c)
$(BUILD)/examples/minimal: $(MINIMAL_SRC) $(wildcard examples/minimal_*.h) $(BUILD)/libgmem.so
	@mkdir -p $(@D)
	$(call Q,CC )$(CC) $(CPPFLAGS) $(CFLAGS_ALL) -o $@ $(MINIMAL_SRC) -L$(BUILD) -lgmem -lpthread -Wl,-rpath,'$$ORIGIN/..'
examples: $(BUILD)/examples/linked $(BUILD)/examples/linked_kernels.so $(BUILD)/examples/minimal
.PHONY: examples
include examples/openmp/openmp.mk
