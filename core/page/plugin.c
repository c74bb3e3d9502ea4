/* Policies from a shared object. See plugin.h. */
#include "core/page/plugin.h"
#include "core/page/driver.h"
#include "core/page/guard.h"
#include "core/sys/text.h"
#include <dlfcn.h>
#include <errno.h>

struct gm_plugin_run {
	struct gm_lock lock;
	struct gm_dev *dev;
	bool broken; /* atomic */
	void *state;
	struct gm_policy_page *page;
	struct gm_policy_view view;
	uint64_t tick_ns;
	uint64_t looked; /* view.evictions when the device was last asked what it has used */
	struct gm_policy_event event[GM_POLICY_EVENTS];
};

enum plugin_call { ON_FAULT, ON_TOUCH, ON_EVICT_PICK, ON_LAUNCH, ON_TICK, PLUGIN_CALLS };
static const struct gm_guarded calls[] = {
	[ON_FAULT] = GM_GUARDED(gm_policy_plugin, on_fault),
	[ON_TOUCH] = GM_GUARDED(gm_policy_plugin, on_touch),
	[ON_EVICT_PICK] = GM_GUARDED(gm_policy_plugin, on_evict_pick),
	[ON_LAUNCH] = GM_GUARDED(gm_policy_plugin, on_launch),
	[ON_TICK] = GM_GUARDED(gm_policy_plugin, on_tick),
};
_Static_assert(GM_ARRAY_LEN(calls) == PLUGIN_CALLS, "each has a name");

/* The one that there is. Written before main, then constant. */
static struct gm_policy_plugin loaded;
static char name[GM_POLICY_NAME_MAX + 1], file[256];
static struct gm_policy_def defs[GM_POLICY_KINDS];

static void *function_of(enum plugin_call c)
{
	return *(void *const *)((const char *)&loaded + calls[c].at);
}

/* ---- loading ---- */

/* What is wrong with it, or NULL. */
static const char *objection(const struct gm_policy_plugin *p, char *room, size_t bytes)
{
	size_t n = 0;

	if (p->version != GM_POLICY_VERSION) {
		gmi_snprintf(room, bytes, "is of version %u; this library calls version %d",
			     p->version, GM_POLICY_VERSION);
		return room;
	}
	while (p->name && p->name[n] && n <= GM_POLICY_NAME_MAX)
		n++;
	if (!n || n > GM_POLICY_NAME_MAX)
		return "has no name of 1 to 31 letters";
	if (p->state_bytes > GM_POLICY_STATE_MAX) {
		gmi_snprintf(room, bytes, "wants %zu bytes of state; %u at most",
			     (size_t)p->state_bytes, GM_POLICY_STATE_MAX);
		return room;
	}
	return p->on_fault || p->on_evict_pick
		       ? NULL
		       : "has neither on_fault nor on_evict_pick: it would decide nothing";
}

static void describe_plugin(enum gm_policy_kind kind, bool has)
{
	if (has)
		defs[kind] = (struct gm_policy_def){
			.info = {name, "a plug-in", file},
			.call = loaded,
			.plugin = true,
			.by_page = true, /* GM_POLICY_BY_PAGE */
		};
}

int gmi_plugin_load(const char *path, char *err, size_t err_bytes)
{
	char room[128];

	if (!*path)
		return 0;
	void *so = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!so) {
		gmi_snprintf(err, err_bytes, "GMEM_POLICY: %s", dlerror());
		return -ENOENT;
	}
	const struct gm_policy_plugin *p = dlsym(so, "gm_policy");
	const char *why =
		p ? objection(p, room, sizeof room)
		  : "defines no gm_policy (struct gm_policy_plugin; is it static, or hidden?)";
	if (why) {
		gmi_snprintf(err, err_bytes, "GMEM_POLICY: %s %s", path, why);
		dlclose(so);
		return -EINVAL;
	}
	loaded = *p;
	gm_text_put(name, p->name, sizeof name);
	gm_text_put(file, path, sizeof file);
	describe_plugin(GM_POLICY_PREFETCH, loaded.on_fault);
	describe_plugin(GM_POLICY_EVICT, loaded.on_evict_pick);
	gmc_guard_claim();
	return 0;
}

/* ---- a device's run ---- */

static size_t run_bytes(uint64_t pages)
{
	return sizeof(struct gm_plugin_run) + pages * sizeof(struct gm_policy_page);
}

struct gm_choice gmc_plugin_choice(const struct gm_dev *dev, enum gm_policy_kind kind)
{
	const struct gm_plugin_run *run = dev->plugin;
	bool follows = run && !__atomic_load_n(&run->broken, __ATOMIC_ACQUIRE) && defs[kind].plugin;

	return (struct gm_choice){.def = follows ? &defs[kind] : NULL};
}

void gmc_plugin_open(struct gm_dev *dev)
{
	if (!*name)
		return;
	uint64_t pages = gmi_phys_total_bytes(dev->phys) >> (GM_PAGE_SHIFT + dev->page_order);
	struct gm_plugin_run *run = gmi_alloc(run_bytes(pages));
	void *state = run && loaded.state_bytes ? gmi_alloc(loaded.state_bytes) : NULL;
	if (!run || (loaded.state_bytes && !state)) {
		if (run)
			gmi_free(run, run_bytes(pages));
		gm_log(GM_LOG_ERROR, "no memory for policy \"%s\": device %u goes on without it",
		       name, dev->index);
		return;
	}
	gm_lock_rank(&run->lock, GM_RANK_POLICY);
	run->dev = dev;
	run->state = state;
	run->page = (struct gm_policy_page *)(run + 1);
	run->view = (struct gm_policy_view){
		.version = GM_POLICY_VERSION,
		.device = dev->index,
		.page_bytes = gm_dev_page_bytes(dev),
		.pages = (uint32_t)pages,
		.page = run->page,
		.event = run->event,
	};
	dev->plugin = run;
	for (unsigned kind = 0; kind < GM_POLICY_KINDS; kind++)
		if (!dev->choice[kind].def)
			gmc_policy_store(&dev->choice[kind], gmc_plugin_choice(dev, kind));
}

void gmc_plugin_close(struct gm_dev *dev)
{
	struct gm_plugin_run *run = dev->plugin;

	if (!run)
		return;
	dev->plugin = NULL;
	for (unsigned kind = 0; kind < GM_POLICY_KINDS; kind++)
		if (dev->choice[kind].def == &defs[kind])
			gmc_policy_store(&dev->choice[kind], (struct gm_choice){0});
	if (run->state)
		gmi_free(run->state, loaded.state_bytes);
	gmi_free(run, run_bytes(run->view.pages));
}

/* ---- when it is broken ---- */

/* Also in a signal handler. The device follows what the options say from now on. */
static void give_up(struct gm_plugin_run *run, const char *function, const char *what)
{
	struct gm_dev *dev = run->dev;

	if (__atomic_exchange_n(&run->broken, true, __ATOMIC_ACQ_REL))
		return;
	for (unsigned kind = 0; kind < GM_POLICY_KINDS; kind++)
		if (__atomic_load_n(&dev->choice[kind].def, __ATOMIC_RELAXED) == &defs[kind])
			gmc_policy_store(&dev->choice[kind], (struct gm_choice){0});
	gmc_fail(0, "policy \"%s\" (%s) is broken: %s %s", name, file, function, what);
	gm_log(GM_LOG_ERROR, "%s; device %u goes on with --prefetch and --evict (docs/policies.md)",
	       gm_last_error(), dev->index);
}

void gmc_plugin_bad_answer(struct gm_dev *dev, const char *function, const char *what)
{
	if (dev->plugin)
		give_up(dev->plugin, function, what);
}

struct in_plugin {
	struct gm_guard guard;
	struct gm_plugin_run *run;
	enum plugin_call call;
};

static bool plugin_breach(struct gm_guard *g, enum gm_breach kind, const void *what)
{
	const struct in_plugin *in = (struct in_plugin *)(void *)g;
	const siginfo_t *si = what;
	char text[160];

	if (kind == GM_BREACH_CALL)
		gmi_snprintf(text, sizeof text, "called %s, which may not be called from there",
			     (const char *)what);
	else if (kind == GM_BREACH_TIME)
		gmi_snprintf(text, sizeof text, "has not returned for %lu ms",
			     (unsigned long)(gmc_guard_limit_ns / 1000000));
	else if (si->si_signo == SIGSEGV && si->si_code <= 0)
		return false; /* sent by somebody */
	else if (si->si_signo == SIGSEGV && gmc_as_find((uintptr_t)si->si_addr))
		gmi_snprintf(text, sizeof text,
			     "touched the program's heap, at %lx (malloc gives such memory)",
			     (unsigned long)(uintptr_t)si->si_addr);
	else
		gmc_guard_words(si, text, sizeof text);
	give_up(in->run, calls[in->call].name, text);
	return true;
}

/* ---- calling it. The run's lock is held. ---- */

static long call_one(struct gm_plugin_run *run, enum plugin_call c, uintptr_t arg)
{
	void *fn = function_of(c);
	const uintptr_t args[4] = {(uintptr_t)&run->view, (uintptr_t)run->state, arg};
	struct in_plugin in = {
		.guard = {.breach = plugin_breach, .watched = true}, .run = run, .call = c};

	if (!fn || run->broken)
		return 0;
	run->view.now_ns = gmi_now_ns();
	run->view.used_pages =
		(uint32_t)(gmi_phys_used_bytes(run->dev->phys) / run->view.page_bytes);
	return gmc_guard_call(&in.guard, fn, args);
}

static long call_plugin(struct gm_plugin_run *run, enum plugin_call c, uintptr_t arg)
{
	uint64_t now = gmi_now_ns();

	if (now - run->tick_ns >= GM_POLICY_TICK_MS * 1000000ull) {
		run->tick_ns = now;
		call_one(run, ON_TICK, 0);
	}
	return call_one(run, c, arg);
}

static void note(struct gm_plugin_run *run, enum gm_policy_event_kind kind, uint64_t va)
{
	struct gm_policy_event *e = &run->event[run->view.events++ % GM_POLICY_EVENTS];

	*e = (struct gm_policy_event){.time_ns = gmi_now_ns(), .va = va, .kind = kind};
}

static const char *unsound(const struct gm_policy_fault *f)
{
	if (f->naheads > GM_POLICY_AHEAD)
		return "asks for more ranges ahead than GM_POLICY_AHEAD";
	for (unsigned i = 0; i < f->naheads; i++)
		if (f->ahead[i].bytes > GM_BLOCK_BYTES)
			return "asks for more than 2 MiB ahead at once";
	return NULL;
}

void gmc_plugin_fault(struct gm_dev *dev, struct gm_policy_fault *f)
{
	struct gm_plugin_run *run = dev->plugin;
	struct gm_policy_fault asked = *f; /* what it may not change stays */

	gmi_lock(&run->lock);
	run->view.faults++;
	note(run, GM_POLICY_FAULT, f->va);
	call_plugin(run, ON_FAULT, (uintptr_t)&asked);
	gmi_unlock(&run->lock);
	const char *why = unsound(&asked);
	if (why)
		give_up(run, calls[ON_FAULT].name, why);
	if (run->broken)
		return;
	f->come = gm_bm_or(f->must, gm_bm_and(asked.come, f->possible));
	f->naheads = asked.naheads;
	for (unsigned i = 0; i < f->naheads; i++)
		f->ahead[i] = asked.ahead[i];
}

int gmc_plugin_pick(struct gm_dev *dev, struct gm_policy_evict *e)
{
	struct gm_plugin_run *run = dev->plugin;

	gmi_lock(&run->lock);
	int r = (int)call_plugin(run, ON_EVICT_PICK, (uintptr_t)e);
	gmi_unlock(&run->lock);
	return run->broken ? -EIO : r;
}

void gmc_plugin_launch(struct gm_dev *dev, const char *kernel)
{
	struct gm_plugin_run *run = dev->plugin;

	if (gm_likely(!run))
		return;
	gm_sigmask mask = gmi_block_signals();
	gmi_lock(&run->lock);
	run->view.launches++;
	note(run, GM_POLICY_LAUNCH, 0);
	call_plugin(run, ON_LAUNCH, (uintptr_t)kernel);
	gmi_unlock(&run->lock);
	gmi_restore_signals(mask);
}

/* ---- the view ---- */

/* The device pages of the block that have a page in `set` and a frame, as their first page. */
#define for_each_frame(bd, set, i)                                                                 \
	for (unsigned i = gm_bm_next((set), 0, true) & ~0u << (bd)->order; i < GM_PAGES_PER_BLOCK; \
	     i = gm_bm_next((set), i + (1u << (bd)->order), true) & ~0u << (bd)->order)            \
		if (gm_frame_at((bd), i >> (bd)->order) != GM_NO_FRAME)

static struct gm_policy_page *page_at(const struct gm_plugin_run *run,
				      const struct gm_block_dev *bd, unsigned i)
{
	return &run->page[gm_frame_at(bd, i >> bd->order) >> bd->order];
}

/* What happens to a page of the set, at va. Run locked. */
typedef void page_fn(struct gm_plugin_run *run, struct gm_policy_page *p, uint64_t va, uint64_t now,
		     enum gm_policy_event_kind how);

static void each_page(struct gm_dev *dev, const struct gm_block_dev *bd, const gm_bm *set,
		      page_fn *fn, enum gm_policy_event_kind how)
{
	struct gm_plugin_run *run = dev->plugin;

	if (gm_likely(!run))
		return;
	uint64_t now = gmi_now_ns();
	gmi_lock(&run->lock);
	for_each_frame(bd, set, i) fn(run, page_at(run, bd, i), gm_va_of(bd->block, i), now, how);
	gmi_unlock(&run->lock);
}

static void page_came(struct gm_plugin_run *run, struct gm_policy_page *p, uint64_t va,
		      uint64_t now, enum gm_policy_event_kind how)
{
	if (!p->va)
		*p = (struct gm_policy_page){.va = va, .came_ns = now, .used_ns = now};
}

static void page_used(struct gm_plugin_run *run, struct gm_policy_page *p, uint64_t va,
		      uint64_t now, enum gm_policy_event_kind how)
{
	if (!p->va)
		return;
	p->used_ns = now;
	p->uses++;
	if (how != GM_POLICY_USED)
		return;
	note(run, how, p->va);
	call_plugin(run, ON_TOUCH, p->va);
}

void gmc_plugin_came(struct gm_dev *dev, const struct gm_block_dev *bd, gm_bm set)
{
	each_page(dev, bd, &set, page_came, GM_POLICY_FAULT);
}

void gmc_plugin_used(struct gm_dev *dev, const struct gm_block_dev *bd, gm_bm set,
		     enum gm_policy_event_kind how)
{
	each_page(dev, bd, &set, page_used, how);
}

void gmc_plugin_gone(struct gm_dev *dev, uint32_t frame)
{
	struct gm_plugin_run *run = dev->plugin;

	if (gm_likely(!run))
		return;
	gmi_lock(&run->lock);
	struct gm_policy_page *p = &run->page[frame >> dev->page_order];
	if (p->va) {
		run->view.evictions++;
		note(run, GM_POLICY_WENT, p->va);
	}
	*p = (struct gm_policy_page){0};
	gmi_unlock(&run->lock);
}

/* ---- what the device has used ---- */

bool gmc_plugin_look_due(struct gm_dev *dev)
{
	struct gm_plugin_run *run = dev->plugin;

	if (gm_likely(!run) || !loaded.on_touch || !dev->mmu->accessed || run->broken)
		return false;
	gmi_lock(&run->lock);
	bool due = run->view.evictions - run->looked >= run->view.pages / 8;
	if (due)
		run->looked = run->view.evictions;
	gmi_unlock(&run->lock);
	return due;
}

void gmc_plugin_look(struct gm_dev *dev, struct gm_as *as, const struct gm_block *own)
{
	struct gm_ctx *ctx = as->ctx[dev->index];
	struct gm_block *b;

	if (!ctx || !loaded.on_touch || !dev->plugin || !dev->mmu->accessed)
		return;
	gm_for_each_block (as, b) {
		gm_bm used = gm_bm_zero();
		if (!__atomic_load_n(&b->dev[dev->index], __ATOMIC_ACQUIRE) ||
		    (b != own && !gmi_trylock(&b->lock)))
			continue;
		const struct gm_block_dev *bd = b->dev[dev->index];
		if (bd && !gm_bm_empty(bd->valid) &&
		    !gmc_driver(dev, GM_CB_ACCESSED, (uintptr_t)ctx->pmap, b->va, GM_BLOCK_BYTES,
				(uintptr_t)used.w))
			gmc_plugin_used(dev, bd, gm_bm_and(used, bd->valid), GM_POLICY_USED);
		if (b != own)
			gmi_unlock(&b->lock);
	}
}
