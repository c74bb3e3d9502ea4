# Included by the Makefile: the plug-ins for OpenMP and OpenACC runtimes, in a folder of their own (run-with-gmem.sh puts it first in
# LD_LIBRARY_PATH), and their kernel module. Each is a front and the core.
OMP_PLUGINS = $(BUILD)/omp/libomptarget.rtl.x86_64.so $(BUILD)/omp/libgomp-plugin-nvptx.so.1 \
	      $(BUILD)/omp/libomptarget.so.19.1
OMP_MODULE = $(BUILD)/omp/gmem-omp-device.so
# The name that libomptarget 16 asks for first.
OMP_NEXTGEN = $(BUILD)/omp/libomptarget.rtl.x86_64.nextgen.so
all: $(OMP_PLUGINS) $(OMP_NEXTGEN) $(OMP_MODULE)
$(OMP_NEXTGEN): $(BUILD)/omp/libomptarget.rtl.x86_64.so
	$(call Q,LN )ln -sf $(<F) $@

# For the link line of flang 19's programs.
OMP_FLANG = $(BUILD)/omp/libgmem-flang19.a
all: $(OMP_FLANG)
$(OMP_FLANG): $(call obj,omp/flang19/kmpc.c omp/core/call_x86_64.S)
	$(call Q,AR )rm -f $@; $(AR) rcs $@ $^

OMP_CORE = $(call obj,$(wildcard omp/core/*.[cS]))
OMP_BOTH = $(call obj,omp/core/loaded.c omp/core/call_x86_64.S) # also in the kernel module
$(BUILD)/omp/libomptarget.rtl.x86_64.so: $(call obj,$(wildcard omp/llvm/*.c)) omp/llvm/plugin.map
$(BUILD)/omp/libgomp-plugin-nvptx.so.1: $(call obj,$(wildcard omp/gomp/*.c)) omp/gomp/plugin.map
$(BUILD)/omp/libomptarget.so.19.1: $(call obj,$(wildcard omp/llvm19/*.c omp/llvm19/*.S) omp/llvm/image.c) omp/llvm19/llvm19.map
# Parallel regions of programs for the CPU (GMEM_OFFLOAD=openmp): loaded by the preload library.
OMP_PARALLEL = $(BUILD)/omp/libgmem-parallel.so
all: $(OMP_PARALLEL)
$(OMP_PARALLEL): $(call obj,$(wildcard omp/parallel/*.[cS])) omp/parallel/parallel.map
$(OMP_PLUGINS) $(OMP_PARALLEL): $(OMP_CORE) $(BUILD)/libgmem.so
	$(call Q,LD )$(CC) $(SANITIZE_FLAGS) $(LDFLAGS) -shared -Wl,-soname,$(@F) -Wl,--version-script=$(filter %.map,$^) -Wl,-z,now,-z,defs,-Bsymbolic \
	    $(call runpath,$$ORIGIN/..:$$ORIGIN/../..) -o $@ $(filter %.o,$^) -L$(BUILD) -lgmem -ldl -lpthread
# What it calls of gmem-devsim (dev_region.h) is found when the device loads it.
$(OMP_MODULE): $(call obj,$(wildcard omp/device/*.[cS])) $(OMP_BOTH)
	$(call Q,LD )$(CC) $(SANITIZE_FLAGS) $(LDFLAGS) -shared -o $@ $^ -ldl -lpthread
