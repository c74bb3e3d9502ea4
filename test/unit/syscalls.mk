# The system calls that this machine's headers name, one N(name) a line, for test_syscall_table.
$(BUILD)/test/unit/syscall_names.h:
	@mkdir -p $(@D)
	$(call Q,GEN)echo '#include <asm/unistd_64.h>' | $(CC) -E -dM - | sed -n 's/^#define __NR_\([a-z0-9_]*\) .*/N(\1)/p' >$@
$(BUILD)/test/unit/test_syscall_table: $(BUILD)/test/unit/syscall_names.h
$(BUILD)/test/unit/test_syscall_table: CPPFLAGS += -I$(BUILD)/test/unit
