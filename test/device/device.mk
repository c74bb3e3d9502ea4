# The kernel module of the device tests.
$(BUILD)/test/device/kernels.so: test/device/kernels.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS_ALL) -MMD -MP -shared -o $@ $<
$(DEVICE_TESTS): $(BUILD)/test/device/kernels.so
