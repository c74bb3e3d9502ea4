# Included by the Makefile: the benchmarks. Floors and plain programs know nothing of libgmem; the rest is linked with it.
BENCH_LINKED = gmem_cpu_fault gmem_device_fault gmem_prefetch gmem_launch gmem_touch gmem_stream gmem_pattern validate gmem_parallel gmem_fork gmem_sparse syscalls
BENCH_PLAIN = floor_cpu_fault floor_uffd floor_device_fault floor_ring floor_memcpy floor_parallel floor_fork floor_sparse fork_exec startup malloc_bench zero_loop cpu_time
BENCH_DIR = $(BUILD)/bench
BENCH_CC = $(call Q,CC )$(CC) $(CPPFLAGS) $(CFLAGS_ALL) -MMD -MP -o $@ $<

$(BENCH_PLAIN:%=$(BENCH_DIR)/%): $(BENCH_DIR)/%: bench/%.c
	@mkdir -p $(@D)
	$(BENCH_CC) -lpthread
$(BENCH_LINKED:%=$(BENCH_DIR)/%): $(BENCH_DIR)/%: bench/%.c $(BUILD)/libgmem.so
	@mkdir -p $(@D)
	$(BENCH_CC) -L$(BUILD) -lgmem -Wl,-rpath,'$$ORIGIN/..' -lpthread -lm
# A second preload that activates before main (test/e2e/activate_now.c).
$(BENCH_DIR)/active.so: test/e2e/activate_now.c $(BUILD)/libgmem_preload.so
	@mkdir -p $(@D)
	$(BENCH_CC) -shared -L$(BUILD) -Wl,--no-as-needed -lgmem_preload -lgmem -Wl,-rpath,'$$ORIGIN/..'
$(BENCH_DIR)/dgemm: bench/dgemm.c
	@mkdir -p $(@D)
	$(BENCH_CC) -lblas -ldl
$(BENCH_DIR)/kernels.so: bench/kernels.c
	@mkdir -p $(@D)
	$(BENCH_CC) -shared -lm

$(BENCH_DIR)/omp_empty $(BENCH_DIR)/omp_globals: $(BENCH_DIR)/%: bench/%.c | deps-omp
	@mkdir -p $(@D)
	$(call Q,OMP)$(OMP_CLANG) -std=gnu11 $(OMP_FLAGS) -D_GNU_SOURCE -I. -o $@ $<
bench-programs: all $(BENCH_PLAIN:%=$(BENCH_DIR)/%) $(BENCH_LINKED:%=$(BENCH_DIR)/%) $(BENCH_DIR)/dgemm $(BENCH_DIR)/kernels.so $(BENCH_DIR)/active.so
bench: $(BENCH_DIR)/omp_empty $(BENCH_DIR)/omp_globals examples-openmp
	BUILD=$(BUILD) bench/run.sh
validate: bench-programs
	BUILD=$(BUILD) bench/validate.sh
.PHONY: bench bench-programs validate
