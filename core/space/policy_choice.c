/* gm_policy_set and gm_policy_get: who follows which policy. */
#include "core/page/plugin.h"
#include "core/page/registry.h"
#include <errno.h>

/* Registry lock held: contexts stay. */
static int set_locked(struct gm_as *as, struct gm_dev *dev, enum gm_policy_kind kind,
		      struct gm_choice choice)
{
	if (as && !as->ctx[dev->index])
		return -ENODEV;
	if (as) {
		gmc_policy_store(&as->ctx[dev->index]->choice[kind], choice);
		return 0;
	}
	gmc_policy_store(&dev->choice[kind], choice.def ? choice : gmc_plugin_choice(dev, kind));
	gm_for_each_space (each)
		if (each->ctx[dev->index])
			gmc_policy_store(&each->ctx[dev->index]->choice[kind],
					 (struct gm_choice){0});
	return 0;
}

int gm_policy_set(struct gm_as *as, struct gm_dev *dev, enum gm_policy_kind kind, const char *name)
{
	struct gm_choice choice = {0};

	if (!dev || (unsigned)kind >= GM_POLICY_KINDS || (as && kind == GM_POLICY_EVICT) ||
	    (name && gmi_policy_parse(kind, name, &choice)))
		return -EINVAL;
	gm_sigmask mask = gmc_registry_enter();

	int err = set_locked(as, dev, kind, choice);
	gmc_registry_leave(mask);
	return err;
}

const char *gm_policy_get(struct gm_as *as, struct gm_dev *dev, enum gm_policy_kind kind)
{
	const char *name = NULL;

	if (!dev || (unsigned)kind >= GM_POLICY_KINDS)
		return NULL;
	gm_sigmask mask = gmc_registry_enter();

	if (!as || as->ctx[dev->index])
		name = (as ? gm_policy_of(as->ctx[dev->index], kind) : gm_policy_of_dev(dev, kind))
			       .def->info.name;
	gmc_registry_leave(mask);
	return name;
}
