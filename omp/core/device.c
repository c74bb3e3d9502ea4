/* device.c - the devices as a runtime counts them, their kernel module, and launches of it. */
#include "omp/core/host.h"
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MODULE "gmem-omp-device.so"

static struct gmo_device devices[GM_MAX_DEV];
static int ready_devices;
static pthread_mutex_t init_lock = PTHREAD_MUTEX_INITIALIZER;

void gmo_say(const struct gmo_device *d, const char *fmt, ...)
{
	char line[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	fprintf(stderr, "gmem: device %d: %s\n", d->number, line);
}

/*
 * A runtime that was told of a device ends the program when it cannot use it; told of none it
 * runs regions on the host. So those count whose process runs and has our module.
 */
static void count_devices(void)
{
	int wanted = gmi_opt.disable ? 0 : (int)gmi_opt.ndev;

	while (ready_devices < wanted && !gmo_device_init(ready_devices))
		ready_devices++;
	if (wanted && !ready_devices)
		gm_log(GM_LOG_WARN, "no device works: target regions run on the host");
	else if (ready_devices < wanted)
		gm_log(GM_LOG_WARN, "device %d does not work: target regions have those before it",
		       ready_devices);
}

int gmo_devices(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, count_devices);
	return ready_devices;
}

struct gmo_device *gmo_device(int32_t id)
{
	return id >= 0 && id < GM_MAX_DEV && devices[id].sim ? &devices[id] : NULL;
}

/* The module lies beside this file. */
static int load_plugin(struct gmo_device *d)
{
	Dl_info info;
	char path[4096];

	if (!dladdr((void *)(uintptr_t)gmo_launch, &info) || !strrchr(info.dli_fname, '/'))
		return -ENOENT;
	snprintf(path, sizeof path, "%.*s/%s", (int)(strrchr(info.dli_fname, '/') - info.dli_fname),
		 info.dli_fname, MODULE);
	return gm_sim_load(d->sim, path, &d->module);
}

/* Init lock held. */
static int make_ready(struct gmo_device *d, int32_t id)
{
	d->number = id;
	struct gm_sim *sim = gmi_sim_default(id);
	if (!sim)
		return -ENODEV; /* said */
	d->sim = sim;
	gmi_sim_expect_foreign(sim);
	d->hnid = gm_dev_hnid(gm_sim_dev(sim));
	pthread_mutex_init(&d->lock, NULL);
	pthread_mutex_init(&d->staging_lock, NULL);
	int err = load_plugin(d);
	if (err) {
		gmo_say(d, "%s cannot be loaded: %s", MODULE, strerror(-err));
		d->sim = NULL;
	}
	return err;
}

int gmo_device_init(int32_t id)
{
	int err = id < 0 || id >= GM_MAX_DEV ? -ENODEV : 0;

	pthread_mutex_lock(&init_lock);
	if (!err && !devices[id].sim)
		err = make_ready(&devices[id], id);
	pthread_mutex_unlock(&init_lock);
	return err;
}

/* ---- launches ---- */

int gmo_launch(struct gmo_device *d, const char *kernel, const char *label, const void *args,
	       size_t bytes, struct gm_launch_result *result, uint64_t *reply)
{
	struct gmi_launch l = {d->module, kernel, label, args, bytes, 0, NULL, NULL};
	int err = gmi_sim_launch(d->sim, &l, result);

	if (reply)
		*reply = l.reply;
	return err;
}

int gmo_launch_load(struct gmo_device *d, const char *kernel, const char *what, const void *args,
		    size_t bytes)
{
	struct gm_launch_result result;
	bool collision = false;
	int err = 0;

	for (int n = 0; n < GMO_LAYOUTS; n++) {
		result = (struct gm_launch_result){0};
		err = gmo_launch(d, kernel, NULL, args, bytes, &result, NULL);
		collision = err == -ECANCELED && result.kernel_code == GMO_COLLISION;
		if (!collision)
			break;
		gmi_sim_kill(d->sim);
	}
	if (collision)
		gmo_say(d,
			"its process has its own memory where the program has its, %d times over",
			GMO_LAYOUTS);
	else if (err)
		gmo_say(d, "%s cannot be loaded: %s", what, strerror(-err));
	if (err && !d->on_host) {
		gmo_say(d, "its regions run on the host from now on");
		d->on_host = true;
	}
	return err;
}

static void say_failure(struct gmo_device *d, const struct gmo_region *r, int err,
			const struct gm_launch_result *result)
{
	const char *kind = r->reply ? "parallel" : "target", *label = r->label;

	static const struct {
		int err;
		const char *what;
	} known[] = {
		{-EFAULT, "touched memory that the program does not have"},
		{-EPERM, "wrote to memory that is read-only"},
		{-ENOMEM, "found no memory left on the host"},
		{-EBUSY, "touched memory of the program where the device process has its own"},
		{-EIO, "ended with the device process"},
	};

	if (err == -EFAULT && gmo_is_function(result->fault_addr)) {
		gmo_say(d, "%s region %s called %s, a function of the host (declare target?)", kind,
			label, gmo_label((void *)result->fault_addr));
		return;
	}
	for (unsigned i = 0; i < GM_ARRAY_LEN(known); i++) {
		if (known[i].err != err)
			continue;
		if (result->fault_addr || err == -EFAULT)
			gmo_say(d, "%s region %s %s: address %#llx", kind, label, known[i].what,
				(unsigned long long)result->fault_addr);
		else
			gmo_say(d, "%s region %s %s", kind, label, known[i].what);
		return;
	}
	if (err == -ECANCELED && result->kernel_code > 128)
		gmo_say(d, "%s region %s crashed: %s", kind, label,
			strsignal(result->kernel_code - 128));
	else
		gmo_say(d, "%s region %s failed: %s", kind, label, strerror(-err));
}

int gmo_region_launch(struct gmo_device *d, const struct gmo_region *r)
{
	struct gm_launch_result result = {0};
	uint64_t printed = 0; /* or the reply */
	int err = 0;

	for (int tries = 0; tries < 3; tries++) {
		struct gmi_launch l = {d->module, r->kernel, r->label, r->args,
				       r->bytes,  0,	     r->serve, r->serve_of};
		err = gmi_sim_launch(d->sim, &l, &result);
		printed = l.reply;
		if (err != -ECANCELED || result.kernel_code != GMO_NO_IMAGE)
			break;
		if (r->reload(d, r->of))
			return -ESTALE;
	}
	if (r->reply)
		*r->reply = printed;
	else if (printed)
		gmo_print(d, printed);
	if (err)
		say_failure(d, r, err, &result);
	if (r->result)
		*r->result = result;
	return err;
}
