# Included by the Makefile: the programs of ISCA'19 once more. `make reproduce` writes docs/reproduce.md.
REPRODUCE_DIR = $(BUILD)/reproduce
REPRODUCE_SRC = $(filter-out reproduce/kernels.c,$(wildcard reproduce/*.c))
# The CPU's references and the kernels must round alike.
$(call obj,$(REPRODUCE_SRC) reproduce/kernels.c): CFLAGS_ALL += -ffp-contract=off

$(REPRODUCE_DIR)/reproduce: $(call obj,$(REPRODUCE_SRC)) $(BUILD)/libgmem.so $(REPRODUCE_DIR)/kernels.so
	$(call Q,LD )$(CC) $(SANITIZE_FLAGS) -o $@ $(call obj,$(REPRODUCE_SRC)) -L$(BUILD) -lgmem -Wl,-rpath,'$$ORIGIN/..' -lm
$(REPRODUCE_DIR)/kernels.so: $(call obj,reproduce/kernels.c)
	$(call Q,LD )$(CC) $(SANITIZE_FLAGS) -shared -o $@ $<

reproduce: all $(REPRODUCE_DIR)/reproduce
	BUILD=$(BUILD) reproduce/run.sh
.PHONY: reproduce
