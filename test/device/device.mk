# The kernel modules of the device tests.
$(BUILD)/test/device/%.so: test/device/%.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS_ALL) -MMD -MP -shared -o $@ $<
$(DEVICE_TESTS): $(BUILD)/test/device/kernels.so $(BUILD)/test/device/bad_kernels.so
