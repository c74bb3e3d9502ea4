/*
 * program.c - the program's own code in the device process, for regions that are functions of
 * it: libgomp hands a host function pointer to the device.
 *
 * Its modules' text is mapped from the same files at the same addresses; its data is memory of
 * the program outside the windows and comes and goes as such (dev_foreign.c). Libraries that
 * have state of their own in every process (libc, libgomp, libstdc++) are not shared: where the
 * program has their text there are jumps here, from the address of a function to the same
 * function of the device's own instance. They are written for every pointer that the program's
 * modules hold. Who gets there otherwise (a function pointer out of a library's own data) faults,
 * and goes on at the same place of the same file here.
 *
 * The table only grows while regions run: readers take no lock.
 */
#include "omp/device/module.h"
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE	   ((uint64_t)4096)
#define JUMP_BYTES 14	/* jmp *0(%rip); .quad target */
#define NOTHING	   0xf4 /* hlt: faults */
#define MODULES	   512

struct jump {
	uint64_t from, to;
};
struct jumps {
	uint64_t n;
	struct jump at[];
};
struct place { /* text of a library that the device has itself */
	uint64_t begin, end, delta;
};
static struct jumps *_Atomic jumps; /* sorted; replaced, never freed: a handler may read it */
static struct place places[MODULES];
static _Atomic unsigned nplaces;
static struct {
	uint64_t base, delta;
	bool same; /* a runtime of the same file */
} known[MODULES];
static unsigned nknown;
static _Atomic uint64_t loaded; /* epoch; 0: none */
static _Atomic bool calls_host; /* what regions call, the host answers (calls_host.c) */

/* ---- where calls go ---- */

static uint64_t jump_of(const struct jumps *j, uint64_t from)
{
	uint64_t low = 0, high = j ? j->n : 0;

	while (low < high) {
		uint64_t middle = (low + high) / 2;
		if (j->at[middle].from == from)
			return j->at[middle].to;
		if (j->at[middle].from < from)
			low = middle + 1;
		else
			high = middle;
	}
	return 0;
}

/* Signal-safe. 0: nobody's. */
static uint64_t redirect(uint64_t rip)
{
	uint64_t to = jump_of(atomic_load(&jumps), rip);

	for (unsigned i = 0; !to && i < atomic_load(&nplaces); i++) {
		if (rip < places[i].begin || rip >= places[i].end)
			continue;
		uint64_t here = places[i].delta ? rip + places[i].delta : 0;
		to = atomic_load(&calls_host) ? gmo_calls_host_stray(rip, here) : here;
	}
	return to;
}

static int by_address(const void *a, const void *b)
{
	const struct jump *x = a, *y = b;

	return x->from < y->from ? -1 : x->from > y->from;
}

static bool make_jumps(const struct gmo_program *a)
{
	const struct gmo_call *calls = (const struct gmo_call *)a->calls;
	struct jumps *j = malloc(sizeof *j + a->ncalls * sizeof j->at[0]);

	if (!j)
		return false;
	j->n = 0;
	for (uint64_t i = 0; i < a->ncalls; i++) {
		const char *name = (const char *)calls[i].name;
		uint64_t to = a->arena ? gmo_calls_host_find(calls[i].addr, name)
				       : (uint64_t)gmo_calls_find(name);
		if (to)
			j->at[j->n++] = (struct jump){calls[i].addr, to};
	}
	qsort(j->at, j->n, sizeof j->at[0], by_address);
	atomic_store(&jumps, j);
	return true;
}

/* One page of a place that jumps start in. Where two are closer than a jump is long, both
 * fault. */
static bool write_page(uint64_t page, const struct jumps *j, uint64_t *i)
{
	unsigned char *at = (unsigned char *)page;

	/* a jump may reach into the next page */
	if (mprotect(at, 2 * PAGE, PROT_READ | PROT_WRITE))
		return false;
	memset(at, NOTHING, PAGE);
	for (; *i < j->n && j->at[*i].from < page + PAGE; ++*i) {
		uint64_t from = j->at[*i].from;
		static const unsigned char jump[] = {0xff, 0x25, 0, 0, 0, 0};
		bool first = *i == 0 || from - j->at[*i - 1].from >= JUMP_BYTES,
		     last = *i + 1 == j->n || j->at[*i + 1].from - from >= JUMP_BYTES;
		if (!first || !last || from + JUMP_BYTES > page + PAGE)
			continue;
		memcpy((void *)from, jump, sizeof jump);
		memcpy((void *)(from + sizeof jump), &j->at[*i].to, sizeof j->at[*i].to);
	}
	return mprotect(at + PAGE, PAGE, PROT_NONE) == 0 &&
	       mprotect(at, PAGE, PROT_READ | PROT_EXEC) == 0;
}

/* ---- modules ---- */

static void *map_at(uint64_t begin, uint64_t end, int prot, int fd, uint64_t offset)
{
	void *p = mmap((void *)begin, end - begin, prot,
		       MAP_PRIVATE | MAP_FIXED_NOREPLACE | MAP_NORESERVE |
			       (fd < 0 ? MAP_ANONYMOUS : 0),
		       fd, (off_t)offset);

	if (p != MAP_FAILED && (uint64_t)p != begin) { /* a kernel that takes it for a hint */
		munmap(p, end - begin);
		return NULL;
	}
	return p == MAP_FAILED ? NULL : p;
}

static int map_own(const struct gmo_program *a, uint32_t m, const char *path)
{
	const struct gmo_segment *s = (const struct gmo_segment *)a->segments;
	int fd = open(path, O_RDONLY | O_CLOEXEC), code = 0;

	if (fd < 0) {
		gmo_warn("cannot open a file of the program", path);
		return GMO_CANNOT_LOAD;
	}
	for (uint64_t i = 0; i < a->nsegments && !code; i++)
		if (s[i].module == m &&
		    !map_at(s[i].begin, s[i].end, (int)s[i].prot, fd, s[i].offset))
			code = GMO_COLLISION;
	close(fd);
	return code;
}

/* The device's own instance, and how far away it is: false, when it is of another file. */
static bool own_instance(const char *path, uint64_t base, uint64_t *delta)
{
	void *handle = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
	struct link_map *map;
	struct stat theirs, mine;

	if (!handle) {
		gmo_warn("cannot load a library of the program", dlerror());
		return false;
	}
	if (dlinfo(handle, RTLD_DI_LINKMAP, &map) || stat(path, &theirs) ||
	    stat(map->l_name, &mine) || theirs.st_ino != mine.st_ino ||
	    theirs.st_dev != mine.st_dev)
		return false;
	*delta = map->l_addr - base;
	return true;
}

/* Its text, as far as it is in nobody's way, becomes a place. */
static int map_place(const struct gmo_program *a, uint32_t m, uint64_t delta)
{
	const struct gmo_segment *s = (const struct gmo_segment *)a->segments;

	for (uint64_t i = 0; i < a->nsegments; i++) {
		if (s[i].module != m || !(s[i].prot & PROT_EXEC))
			continue;
		if (!map_at(s[i].begin, s[i].end, PROT_NONE, -1, 0))
			return GMO_COLLISION;
		unsigned n = atomic_load(&nplaces);
		if (n == MODULES)
			return GMO_CANNOT_LOAD;
		places[n] = (struct place){s[i].begin, s[i].end, delta};
		atomic_store(&nplaces, n + 1);
	}
	return 0;
}

static bool is_known_module(uint64_t base)
{
	for (unsigned i = 0; i < nknown; i++)
		if (known[i].base == base)
			return true;
	return false;
}

/* Did it come with this load, which began with `before` known? */
static bool is_new(uint64_t base, unsigned before)
{
	for (unsigned i = before; i < nknown; i++)
		if (known[i].base == base)
			return true;
	return false;
}

static int load_one(const struct gmo_program *a, uint32_t m, const struct gmo_module *module)
{
	uint64_t delta = 0;
	char path[4096];

	if (nknown == MODULES)
		return GMO_CANNOT_LOAD;
	/* ours: the kernel does not wait for pages of the window */
	snprintf(path, sizeof path, "%s", (const char *)module->path);
	if (module->kind == GMO_RUNTIME)
		known[nknown].same = own_instance(path, module->base, &delta);
	known[nknown].delta = delta;
	known[nknown++].base = module->base;
	return module->kind == GMO_OWN ? map_own(a, m, path) : map_place(a, m, delta);
}

/* The libc's data: streams that the program's variables name. */
static void note_libc(const struct gmo_module *module)
{
	const char *name = strrchr((const char *)module->path, '/');

	for (unsigned i = 0; i < nknown; i++)
		if (name && !strcmp(name, "/libc.so.6") && known[i].base == module->base &&
		    known[i].same)
			gmo_calls_libc(module->base, module->base + ((uint64_t)4 << 20),
				       known[i].delta);
}

/* Jumps for the places that came with this load: [first, nplaces). */
static bool write_places(unsigned first)
{
	const struct jumps *j = atomic_load(&jumps);

	for (uint64_t i = 0; i < j->n;) {
		uint64_t page = j->at[i].from / PAGE * PAGE, at = i;
		for (unsigned p = first; p < atomic_load(&nplaces); p++)
			if (page >= places[p].begin && page + PAGE < places[p].end &&
			    !write_page(page, j, &at))
				return false;
		if (at == i) /* of an earlier load: those fault */
			while (at < j->n && j->at[at].from < page + PAGE)
				at++;
		i = at;
	}
	return true;
}

/* Exceptions find their way by these; when all libraries are there. */
static void add_frames(const struct gmo_module *m)
{
	void (*add)(const void *) =
		(void (*)(const void *))(uintptr_t)dlsym(RTLD_DEFAULT, "__register_frame");

	if (add && m->kind == GMO_OWN && m->frames)
		add((const void *)m->frames);
}

/* Who answers what regions call, and how many threads they have. Before libraries are loaded. */
static bool begin_program(const struct gmo_program *a)
{
	gmo_calls_device(a->device, a->ndevices);
	atomic_store(&calls_host, a->arena != 0);
	if (a->arena) {
		gmo_set_wait(); /* each region says how many threads */
		return gmo_calls_host_begin((struct gmo_arena *)a->arena) && gmo_local_begin(a);
	}
	gmo_collect_output();
	gmo_set_threads(a->threads_variable, a->threads);
	return true;
}

static int load_described(const struct gmo_program *a)
{
	const struct gmo_module *m = (const struct gmo_module *)a->modules;
	unsigned first = atomic_load(&nplaces), before = nknown;
	int code = 0;

	if (!nknown && gmo_collides((const struct gmo_range *)a->ranges, a->nranges))
		return GMO_COLLISION;
	if (!begin_program(a))
		return GMO_CANNOT_LOAD;
	/* libraries first: what is mapped for the program must not be in their way */
	for (uint32_t i = 0; i < a->nmodules && !code; i++)
		if (!is_known_module(m[i].base)) {
			code = load_one(a, i, &m[i]);
			note_libc(&m[i]);
		}
	if (!code && (!make_jumps(a) || !write_places(first)))
		code = GMO_CANNOT_LOAD;
	for (uint32_t i = 0; i < a->nmodules && !code; i++)
		if (is_new(m[i].base, before))
			add_frames(&m[i]);
	if (!code) {
		dev_region_on_stray(redirect);
		atomic_store(&loaded, a->epoch);
	}
	return code;
}

GM_KERNEL gmo_program(struct gm_kctx *ctx, const void *args)
{
	const struct gmo_program *a = args;

	/* the loader holds locks when it touches what it should not */
	dev_region_begin(false);
	pthread_mutex_lock(&gmo_lock);
	int code = atomic_load(&loaded) >= a->epoch ? 0 : load_described(a);
	pthread_mutex_unlock(&gmo_lock);
	dev_region_end(false);
	return code;
}

/* ---- regions ---- */

bool gmo_program_is_loaded(uint64_t epoch)
{
	return atomic_load(&loaded) >= epoch;
}

GM_KERNEL gmo_native(struct gm_kctx *ctx, const void *args)
{
	const struct gmo_native *a = args;
	uint64_t *vars = NULL;

	if (!gmo_program_is_loaded(a->epoch))
		return GMO_NO_IMAGE;
	dev_region_begin(true);
	if (a->vars.n) { /* the region may write to it */
		vars = malloc(a->vars.n * sizeof *vars);
		if (vars)
			memcpy(vars, gmo_words(&a->vars), a->vars.n * sizeof *vars);
	}
	if (!a->vars.n || vars)
		((void (*)(void *))a->fn)(vars ? vars : (void *)a->arg);
	dev_launch_reply(gmo_collected());
	free(vars);
	dev_region_end(true);
	return a->vars.n && !vars ? GMO_CANNOT_LOAD : 0;
}
