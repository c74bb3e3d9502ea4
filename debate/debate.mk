# Included by the Makefile: the experiments of docs/debate.md. `make debate` runs them and prints their numbers.
DEBATE_DIR = $(BUILD)/debate
DEBATE = $(patsubst debate/%.c,$(DEBATE_DIR)/%,$(filter-out debate/kernels.c,$(wildcard debate/*.c)))
$(DEBATE_DIR)/kernels.so: debate/kernels.c debate/debate.h
	@mkdir -p $(@D)
	$(call Q,CC )$(CC) $(CPPFLAGS) $(CFLAGS_ALL) -MMD -MP -shared -o $@ $<
$(DEBATE): $(DEBATE_DIR)/%: debate/%.c debate/debate.h $(BUILD)/libgmem.so
	@mkdir -p $(@D)
	$(call Q,CC )$(CC) $(CPPFLAGS) $(CFLAGS_ALL) -MMD -MP -o $@ $< -L$(BUILD) -lgmem -Wl,-rpath,'$$ORIGIN/..'
debate-programs: $(DEBATE) $(DEBATE_DIR)/kernels.so
debate: all debate-programs examples
	@BUILD=$(BUILD) debate/run.sh
.PHONY: debate debate-programs
