# Included by the Makefile: the plug-in for OpenMP target programs, in a folder of its own (run-with-gmem.sh puts it first in
# LD_LIBRARY_PATH), and its kernel module.
OMP_SRC = $(filter-out omp/device.c,$(wildcard omp/*.c))
OMP_PLUGIN = $(BUILD)/omp/libomptarget.rtl.x86_64.so
OMP_MODULE = $(BUILD)/omp/gmem-omp-device.so
all: $(OMP_PLUGIN) $(OMP_MODULE)

$(OMP_PLUGIN): $(call obj,$(OMP_SRC)) $(BUILD)/libgmem.so omp/plugin.map
	$(call Q,LD )$(CC) $(SANITIZE_FLAGS) $(LDFLAGS) -shared -Wl,-soname,$(@F) -Wl,--version-script=omp/plugin.map -Wl,-z,now,-z,defs,-Bsymbolic \
	    $(call runpath,$$ORIGIN/..:$$ORIGIN/../..) -o $@ $(call obj,$(OMP_SRC)) -L$(BUILD) -lgmem -ldl -lpthread
# What it calls of gmem-devsim (dev_region.h) is found when the device loads it.
$(OMP_MODULE): $(BUILD)/omp/device.o $(BUILD)/omp/call_x86_64.o
	$(call Q,LD )$(CC) $(SANITIZE_FLAGS) $(LDFLAGS) -shared -o $@ $^ -ldl -lpthread
