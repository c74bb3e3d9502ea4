# The plug-ins of test_plugin.c: one source, an object for each that it has, linked with nothing of ours; and the examples, as
# their users build them.
PLUGINS = good absent version empty nameless huge crash_fault crash_pick touch_pick hang_fault call_fault outside_pick part_pick \
	  nothing_pick never_pick ahead_fault divide_pick trap_fault abort_pick
$(BUILD)/test/unit/plugin_%.so: test/unit/plugins.c test/unit/plugins.h include/gmem/policy.h
	@mkdir -p $(@D)
	$(call Q,CC )$(CC) $(CSTD) $(filter-out -Wno-unused-parameter,$(WARN)) -Wno-unused -Wno-unused-parameter -Wno-missing-field-initializers \
	    -O1 -g -fPIC -Iinclude -DPLUGIN_$* -DFUNCTION=$* -DFIELD=$(if $(filter %_pick,$*),on_evict_pick,on_fault) -shared -o $@ $<
$(BUILD)/test/unit/example_%.so: examples/policies/%.c include/gmem/policy.h
	@mkdir -p $(@D)
	$(call Q,CC )$(CC) -std=c11 $(WARN) -O2 -fPIC -Iinclude -shared -o $@ $<
$(BUILD)/test/unit/test_plugin: $(PLUGINS:%=$(BUILD)/test/unit/plugin_%.so) $(patsubst examples/policies/%.c,$(BUILD)/test/unit/example_%.so,$(wildcard examples/policies/*.c))
