/*
 * program.c - the program's own code: a description of the modules (object files) that it has
 * mapped, for the device to map them too, and regions that are functions of them.
 *
 * When the program has loaded or closed a library since, the description is made anew: an epoch
 * is how many loads and closes the loader has counted.
 */
#include "core/sys/dynamic.h"
#include "omp/core/host.h"
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Who has state of its own in every process: the device has another instance. */
static const struct {
	const char *begins;
	enum gmo_module_kind kind;
} kinds[] = {
	{"ld-linux", GMO_RUNTIME},	  {"libc.so.", GMO_RUNTIME},
	{"libm.so.", GMO_RUNTIME},	  {"libmvec.so.", GMO_RUNTIME},
	{"libpthread.so.", GMO_RUNTIME},  {"libdl.so.", GMO_RUNTIME},
	{"librt.so.", GMO_RUNTIME},	  {"libgcc_s.so.", GMO_RUNTIME},
	{"libstdc++.so.", GMO_RUNTIME},	  {"libgomp.so.", GMO_RUNTIME},
	{"libomp.so", GMO_RUNTIME},	  {"libgfortran.so.", GMO_RUNTIME},
	{"libquadmath.so.", GMO_RUNTIME}, {"libgmem", GMO_HOOKS},
	{"libgomp-plugin", GMO_HOOKS},	  {"libomptarget", GMO_HOOKS},
	{"libarcher.so", GMO_HOOKS}, /* libomp loads it at its start */
};

/* A module as the loader knows it. It is kept from being closed while it is read. */
struct object {
	struct object *next;
	struct dl_phdr_info info;
	char *path;
	void *handle;
};

/* All of it lies in one mapping of the window, whose strings come last. Counted first (room
 * NULL), then filled. */
struct description {
	struct object *objects;
	char *room;
	size_t bytes;
	uint64_t nmodules, nsegments, ncalls, text_bytes;
	uint64_t max_calls, max_text, paths_left;
	char *images; /* of thread-local variables: GMO_LOCAL_BYTES */
	struct gmo_range *ranges;
	struct gmo_module *modules;
	struct gmo_segment *segments;
	struct gmo_call *calls;
	char *text;
	char exe[4096];
};

/* ---- modules ---- */

static enum gmo_module_kind module_kind(const char *path)
{
	const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;

	for (unsigned i = 0; i < GM_ARRAY_LEN(kinds); i++)
		if (!strncmp(name, kinds[i].begins, strlen(kinds[i].begins)))
			return kinds[i].kind;
	return GMO_OWN;
}

static uint64_t add_text(struct description *d, const char *s)
{
	uint64_t at = 0;

	if (d->room) {
		at = (uint64_t)(d->text + d->text_bytes);
		strcpy((char *)at, s);
	}
	d->text_bytes += strlen(s) + 1;
	return at;
}

static void add_segment(struct description *d, const struct dl_phdr_info *info, const Elf64_Phdr *p)
{
	uint64_t begin = gm_align_down(info->dlpi_addr + p->p_vaddr, GM_PAGE_BYTES);

	if (d->room)
		d->segments[d->nsegments] = (struct gmo_segment){
			.begin = begin,
			.end = gm_align_up(info->dlpi_addr + p->p_vaddr + p->p_memsz,
					   GM_PAGE_BYTES),
			.offset = gm_align_down(p->p_offset, GM_PAGE_BYTES),
			.module = (uint32_t)d->nmodules,
			.prot = PROT_READ | (p->p_flags & PF_X ? PROT_EXEC : 0),
		};
	d->nsegments++;
}

/* Where .eh_frame lies, from the table that is sorted by it (its second word: relative to
 * itself, as every linker writes it). */
static uint64_t frames_of(const struct dl_phdr_info *info, const Elf64_Phdr *p)
{
	const unsigned char *table = (const unsigned char *)(info->dlpi_addr + p->p_vaddr);
	int32_t offset;

	if (table[0] != 1 || table[1] != 0x1b) /* DW_EH_PE_pcrel | DW_EH_PE_sdata4 */
		return 0;
	memcpy(&offset, table + 4, sizeof offset);
	return (uint64_t)(table + 4) + (uint64_t)(int64_t)offset;
}

static bool in_text(const struct dl_phdr_info *info, uint64_t at)
{
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const Elf64_Phdr *p = &info->dlpi_phdr[i];
		uint64_t begin = info->dlpi_addr + p->p_vaddr;
		if (p->p_type == PT_LOAD && p->p_flags & PF_X && at >= begin &&
		    at < begin + p->p_memsz)
			return true;
	}
	return false;
}

/* ---- calls ---- */

/*
 * Is it an entry of a procedure linkage table? An executable that is not position-independent and
 * takes a function's address has it for the function's address, and everybody's. It jumps to where
 * its slot points: that must be the function itself.
 */
static bool is_linkage_entry(const void *fn)
{
	const ElfW(Sym) *sym = NULL;
	Dl_info info;

	return dladdr1(fn, &info, (void **)&sym, RTLD_DL_SYMENT) && sym &&
	       sym->st_shndx == SHN_UNDEF;
}

/* The first module behind the executable that has the function itself. */
static void *find_definition(const char *name)
{
	struct link_map *m = dlopen(NULL, RTLD_LAZY | RTLD_NOLOAD);
	void *found = NULL;
	Dl_info info;

	if (m)
		dlclose(m);
	while (!found && m && (m = m->l_next)) {
		void *fn = dlsym(m, name); /* m's, or of what it needs */
		if (fn && dladdr(fn, &info) && info.dli_fbase == (void *)m->l_addr)
			found = fn;
	}
	return found;
}

static void *resolve_symbol(void *handle, const char *name)
{
	void *fn = dlsym(RTLD_DEFAULT, name);

	if (!fn && handle) /* loaded with RTLD_LOCAL */
		fn = dlsym(handle, name);
	return fn && is_linkage_entry(fn) ? find_definition(name) : fn;
}

static bool is_pointer_to_function(const Elf64_Rela *r, const Elf64_Sym *sym)
{
	uint64_t type = ELF64_R_TYPE(r->r_info), kind = ELF64_ST_TYPE(sym->st_info);

	return sym->st_name &&
	       (type == R_X86_64_JUMP_SLOT || type == R_X86_64_GLOB_DAT || type == R_X86_64_64) &&
	       (kind == STT_FUNC || kind == STT_NOTYPE || kind == STT_GNU_IFUNC);
}

/* A pointer to another module's function. One that the loader would bind at its first call is
 * bound now: the device cannot ask for it. */
static void add_call(struct description *d, const struct object *o, const struct gm_dynamic *dyn,
		     const Elf64_Rela *r)
{
	const struct dl_phdr_info *info = &o->info;
	uint64_t *slot = (uint64_t *)(info->dlpi_addr + r->r_offset);
	const Elf64_Sym *sym = &dyn->symbols[ELF64_R_SYM(r->r_info)];

	if (!is_pointer_to_function(r, sym))
		return;
	const char *name = dyn->names + sym->st_name;
	if (ELF64_R_TYPE(r->r_info) == R_X86_64_JUMP_SLOT && sym->st_shndx == SHN_UNDEF &&
	    in_text(info, *slot)) {
		void *fn = resolve_symbol(o->handle, name);
		if (fn)
			*slot = (uint64_t)fn;
	}
	if (!*slot || in_text(info, *slot))
		return;
	/* one that was bound by another thread between counting and filling: a jump less */
	if (d->room && (d->ncalls == d->max_calls ||
			d->text_bytes + strlen(name) + d->paths_left >= d->max_text))
		return;
	uint64_t text = add_text(d, name);
	if (d->room)
		d->calls[d->ncalls] = (struct gmo_call){*slot, text};
	d->ncalls++;
}

static void add_calls(struct description *d, const struct object *o, const Elf64_Dyn *at)
{
	struct gm_dynamic dyn = gm_dynamic_of(at, o->info.dlpi_addr);

	for (unsigned k = 0; k < 2 && dyn.symbols && dyn.names; k++)
		for (size_t i = 0; i < dyn.nrela[k]; i++)
			add_call(d, o, &dyn, &dyn.rela[k][i]);
}

struct search {
	const char *begins;
	bool found;
};

static int search_module(struct dl_phdr_info *info, size_t size, void *of)
{
	struct search *s = of;
	struct gm_dynamic dyn = {.names = NULL};

	for (unsigned i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_DYNAMIC)
			dyn = gm_dynamic_of(
				(const void *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr),
				info->dlpi_addr);
	if (module_kind(info->dlpi_name) != GMO_OWN || !dyn.symbols || !dyn.names)
		return 0;
	for (unsigned k = 0; k < 2; k++)
		for (size_t i = 0; i < dyn.nrela[k] && !s->found; i++) {
			const Elf64_Sym *sym = &dyn.symbols[ELF64_R_SYM(dyn.rela[k][i].r_info)];
			s->found = sym->st_shndx == SHN_UNDEF &&
				   !strncmp(dyn.names + sym->st_name, s->begins, strlen(s->begins));
		}
	return s->found;
}

bool gmo_program_calls(const char *begins)
{
	struct search s = {.begins = begins};

	dl_iterate_phdr(search_module, &s);
	return s.found;
}

struct locals {
	struct gmo_local *to;
	const char *file;
	int n; /* -errno */
};

/* The loader lays the blocks of what it loads at the start below the thread pointer. */
static int note_locals(struct dl_phdr_info *info, size_t size, void *of)
{
	struct locals *l = of;

	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const Elf64_Phdr *p = &info->dlpi_phdr[i];
		uint64_t below = gmo_thread_pointer() - (uint64_t)info->dlpi_tls_data;
		if (p->p_type != PT_TLS || module_kind(info->dlpi_name) != GMO_OWN)
			continue;
		l->file = info->dlpi_name;
		if (!info->dlpi_tls_data || below > GMO_LOCAL_BYTES || p->p_memsz > below ||
		    l->n == GMO_LOCALS) {
			l->n = -ENOTSUP;
			return 1;
		}
		l->to[l->n++] = (struct gmo_local){.image = info->dlpi_addr + p->p_vaddr,
						   .module = info->dlpi_tls_modid,
						   .offset = (uint32_t)below,
						   .bytes = (uint32_t)p->p_memsz,
						   .filled = (uint32_t)p->p_filesz};
	}
	return 0;
}

int gmo_program_locals(struct gmo_local *to, const char **file)
{
	struct locals l = {.to = to};

	dl_iterate_phdr(note_locals, &l);
	*file = l.file;
	return l.n;
}

static int is_text_of(struct dl_phdr_info *info, size_t size, void *at)
{
	return in_text(info, (uint64_t)at);
}

bool gmo_is_function(uint64_t at)
{
	return dl_iterate_phdr(is_text_of, (void *)at);
}

static void add_module(struct description *d, const struct object *o)
{
	const struct dl_phdr_info *info = &o->info;
	enum gmo_module_kind kind = module_kind(o->path);
	uint64_t frames = 0, text = add_text(d, o->path);

	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const Elf64_Phdr *p = &info->dlpi_phdr[i];
		if (p->p_type == PT_LOAD && !(p->p_flags & PF_W))
			add_segment(d, info, p);
		else if (p->p_type == PT_GNU_EH_FRAME)
			frames = frames_of(info, p);
		else if (p->p_type == PT_DYNAMIC && kind == GMO_OWN)
			add_calls(d, o, (const Elf64_Dyn *)(info->dlpi_addr + p->p_vaddr));
	}
	if (d->room)
		d->modules[d->nmodules] = (struct gmo_module){
			.path = text,
			.base = info->dlpi_addr,
			.kind = kind,
			.frames = frames,
		};
	d->nmodules++;
}

static void add_modules(struct description *d)
{
	d->nmodules = d->nsegments = d->ncalls = d->text_bytes = d->paths_left = 0;
	for (const struct object *o = d->objects; o; o = o->next)
		d->paths_left += strlen(o->path) + 1;
	for (const struct object *o = d->objects; o; o = o->next) {
		d->paths_left -= strlen(o->path) + 1;
		add_module(d, o);
	}
}

/* In the loader's own loop nothing may be asked of it: other threads hold its locks in the other
 * order. */
static int note_object(struct dl_phdr_info *info, size_t size, void *to)
{
	struct description *d = to;
	struct object *o = calloc(1, sizeof *o);
	const char *path = info->dlpi_name[0] ? info->dlpi_name : d->exe;

	/* not: the vdso. A name that is relative is so to the directory at the start. */
	if (!o || !strchr(path, '/') ||
	    !(o->path = path[0] == '/' ? strdup(path) : realpath(path, NULL))) {
		free(o);
		return 0;
	}
	o->info = *info;
	o->info.dlpi_name = info->dlpi_name[0] ? o->path : "";
	o->next = d->objects;
	d->objects = o;
	return 0;
}

static void forget_objects(struct description *d)
{
	while (d->objects) {
		struct object *o = d->objects;
		d->objects = o->next;
		if (o->handle)
			dlclose(o->handle);
		free(o->path);
		free(o);
	}
}

/* Those that are still there. */
static void find_objects(struct description *d)
{
	struct object **at = &d->objects;

	dl_iterate_phdr(note_object, d);
	while (*at) {
		struct object *o = *at;
		o->handle = dlopen(o->info.dlpi_name[0] ? o->path : NULL, RTLD_LAZY | RTLD_NOLOAD);
		if (o->handle) {
			at = &o->next;
			continue;
		}
		*at = o->next;
		free(o->path);
		free(o);
	}
}

static int read_epoch(struct dl_phdr_info *info, size_t size, void *epoch)
{
	*(uint64_t *)epoch = info->dlpi_adds + info->dlpi_subs;
	return 1;
}

static uint64_t epoch_now(void)
{
	uint64_t epoch = 0;

	dl_iterate_phdr(read_epoch, &epoch);
	return epoch;
}

/* ---- to the device ---- */

static bool make_description_room(struct description *d)
{
	d->bytes = GMO_LOCAL_BYTES + GMO_RANGES * sizeof *d->ranges +
		   d->nmodules * sizeof *d->modules + d->nsegments * sizeof *d->segments +
		   d->ncalls * sizeof *d->calls + d->text_bytes;
	d->room = gm_mmap(NULL, NULL, d->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
	if (d->room == MAP_FAILED)
		return false;
	d->images = d->room;
	d->ranges = (struct gmo_range *)(d->images + GMO_LOCAL_BYTES);
	d->modules = (struct gmo_module *)(d->ranges + GMO_RANGES);
	d->segments = (struct gmo_segment *)(d->modules + d->nmodules);
	d->calls = (struct gmo_call *)(d->segments + d->nsegments);
	d->text = (char *)(d->calls + d->ncalls);
	d->max_calls = d->ncalls;
	d->max_text = d->text_bytes;
	return true;
}

/* libstdc++'s variables of std::call_once are the only ones of a runtime that other code has. */
int gmo_program_once(void)
{
	static const char callable[] = "_ZSt15__once_callable", call[] = "_ZSt11__once_call";

	if (!gmo_program_calls(callable) && !gmo_program_calls(call))
		return 0;
	uint64_t below = gmo_thread_pointer() - (uint64_t)dlsym(RTLD_DEFAULT, callable),
		 at = gmo_thread_pointer() - (uint64_t)dlsym(RTLD_DEFAULT, call);
	return below <= GMO_LOCAL_BYTES && at <= GMO_LOCAL_BYTES ? (int)at : -ENOTSUP;
}

/* With what they begin as. */
static void add_locals(const struct description *d, struct gmo_program *a)
{
	const char *file;
	int n = gmo_program_locals(a->locals, &file);
	char *to = d->images;

	a->once = (uint32_t)gm_max(gmo_program_once(), 0);
	a->nlocals = (uint32_t)gm_max(n, 0);
	for (int i = 0; i < n; i++) {
		struct gmo_local *l = &a->locals[i];
		l->image = (uint64_t)memcpy(to, (const void *)l->image, l->filled);
		to += l->filled;
	}
}

static int send_program(struct gmo_device *d, struct description *s, uint64_t epoch)
{
	struct gmo_program a = {
		.epoch = epoch,
		.modules = (uint64_t)s->modules,
		.nmodules = s->nmodules,
		.segments = (uint64_t)s->segments,
		.nsegments = s->nsegments,
		.calls = (uint64_t)s->calls,
		.ncalls = s->ncalls,
		.ranges = (uint64_t)s->ranges,
		.threads = gmi_sim_workers(d->sim),
		.device = (uint32_t)d->number,
		.ndevices = (uint32_t)gmo_devices(),
	};

	if (gmo_arena_make && !(a.arena = (uint64_t)gmo_arena_make())) {
		d->on_host = true; /* said */
		return -ENOMEM;
	}
	if (gmo_arena_make)
		add_locals(s, &a);
	a.nranges = gmo_ranges(s->ranges, GMO_RANGES);
	snprintf(a.threads_variable, sizeof a.threads_variable, "OMP_NUM_THREADS_DEV_%d",
		 d->number);
	return gmo_launch_load(d, "gmo_program", "the program's own code", &a, sizeof a);
}

static int load_program(struct gmo_device *d, void *region_epoch)
{
	struct description *s = calloc(1, sizeof *s);
	uint64_t epoch = 0;
	int err = s ? 0 : -ENOMEM;

	pthread_mutex_lock(&d->lock);
	if (!err && readlink("/proc/self/exe", s->exe, sizeof s->exe - 1) < 0)
		err = -errno;
	if (!err) {
		epoch = epoch_now();
		find_objects(s);
		add_modules(s); /* counts; binds */
		err = make_description_room(s) ? 0 : -ENOMEM;
	}
	if (!err)
		add_modules(s);
	if (!err)
		err = send_program(d, s, epoch);
	*(uint64_t *)region_epoch = d->program_epoch = err ? 0 : epoch;
	if (s && s->room && s->room != MAP_FAILED)
		gm_munmap(s->room, s->bytes);
	if (s)
		forget_objects(s);
	free(s);
	pthread_mutex_unlock(&d->lock);
	return err;
}

/* ---- regions ---- */

struct gmo_arena *(*gmo_arena_make)(void);

int gmo_program_run(struct gmo_device *d, const struct gmo_region *r, uint64_t *epoch)
{
	struct gmo_region region = *r;
	int err = 0;

	*epoch = epoch_now();
	/* what is known not to be there; a process that was lost is found out by asking it */
	if (!d->on_host && __atomic_load_n(&d->program_epoch, __ATOMIC_RELAXED) < *epoch)
		err = load_program(d, epoch);
	if (d->on_host)
		return -ESTALE;
	if (err)
		return err;
	region.reload = load_program;
	region.of = epoch;
	return gmo_region_launch(d, &region);
}

int gmo_put_words(struct gmo_device *d, const void *words, size_t n, struct gmo_words *to,
		  void **more)
{
	*more = NULL;
	to->n = n;
	if (n <= GM_ARRAY_LEN(to->word)) {
		memcpy(to->word, words, n * 8);
		return 0;
	}
	*more = gmo_alloc(d, n * 8);
	to->more = (uint64_t)*more;
	return *more ? gmo_submit(d, *more, words, n * 8) : -ENOMEM;
}

int gmo_native_run(struct gmo_device *d, void (*fn)(void *), void *arg, size_t nvars)
{
	struct gmo_native a = {.fn = (uint64_t)(uintptr_t)fn, .arg = (uint64_t)arg};
	void *more = NULL;
	int err = d->on_host ? 0 : gmo_put_words(d, arg, nvars, &a.vars, &more);

	if (!err)
		err = gmo_program_run(d,
				      &(struct gmo_region){
					      .kernel = "gmo_native",
					      .label = gmo_label((void *)(uintptr_t)fn),
					      .args = &a,
					      .bytes = sizeof a,
				      },
				      &a.epoch);
	gmo_free(d, more);
	if (err == -ESTALE && d->on_host) {
		fn(arg);
		err = 0;
	}
	return err;
}
