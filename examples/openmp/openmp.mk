# Included by examples/examples.mk: OpenMP target programs, for stock clang 14 with libomp-14-dev (make deps).
# Nothing of ours is linked in.
OMP_CLANG ?= clang-14
OMP_CLANGXX ?= clang++-14
OMP_FLAGS = -O2 -g -Wall -Wextra -Wno-pass-failed -ffp-contract=off -fopenmp -fopenmp-targets=x86_64-pc-linux-gnu
OMP_EXAMPLES = $(patsubst examples/openmp/%,$(BUILD)/examples/openmp/%,$(basename $(wildcard examples/openmp/*.c examples/openmp/*.cc)))

$(BUILD)/examples/openmp/%: examples/openmp/%.c examples/openmp/example.h
	@mkdir -p $(@D)
	$(call Q,OMP)$(OMP_CLANG) -std=gnu11 $(OMP_FLAGS) -o $@ $< -lm
$(BUILD)/examples/openmp/%: examples/openmp/%.cc examples/openmp/example.h
	@mkdir -p $(@D)
	$(call Q,OMP)$(OMP_CLANGXX) -std=c++17 $(OMP_FLAGS) -o $@ $< -lm
examples-openmp: $(OMP_EXAMPLES)
.PHONY: examples-openmp
$(OMP_EXAMPLES): | deps-omp
