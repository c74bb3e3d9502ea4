/*
 * image.c - target images and their regions.
 *
 * libomptarget pairs the entries of its own table with ours by position. A region's address in
 * ours is a struct of this file; a variable's is where it lies in the device process. When that
 * process was lost, the next region finds its image missing there and loads it again; only the
 * values of its variables are gone, and then it says so and fails.
 */
#include "omp/core/loaded.h"
#include "omp/llvm/image.h"
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ENTRIES_SECTION "omp_offloading_entries"
#define RUNTIME		"libomp.so.5"

bool gmo_unified;

struct region {
	struct gmo_image *image;
	void (*here)(void); /* when its image is in this process */
	uint32_t entry;
	char label[GMO_LABEL_BYTES];
};
struct gmo_image {
	struct gmo_image *next;
	const struct gmo_tgt_image *from;
	uint32_t number;
	size_t file_bytes;
	uint64_t table, table_entries; /* the file's own, at an address of the file */
	size_t n;		       /* entries that the program has */
	unsigned nvariables;
	struct gmo_tgt_table result; /* on this device */
	struct region *regions;	     /* one each entry; those of variables are not used */
	void *here;		     /* loaded into this process instead; NULL: on the device */
};
static struct gmo_image *images[GM_MAX_DEV]; /* under the device's lock */
static uint32_t next_number[GM_MAX_DEV];

/*
 * The device's workers are threads of this machine. A host thread of libomp that has nothing to
 * do spins for 200 ms (KMP_BLOCKTIME), on the CPU of a worker; it sleeps instead, unless the
 * user has said how threads wait. Before main: a team that exists keeps the wait that it began
 * with.
 */
void gmo_leave_cpus(void)
{
	void (*set_blocktime)(int) =
		(void (*)(int))(uintptr_t)dlsym(RTLD_DEFAULT, "kmp_set_blocktime");

	if (set_blocktime && !gmo_wait_is_chosen())
		set_blocktime(0);
}

/* ---- the file ---- */

static const Elf64_Ehdr *header(const struct gmo_tgt_image *image)
{
	const Elf64_Ehdr *h = image->start;

	if ((size_t)((char *)image->end - (char *)image->start) < sizeof *h ||
	    memcmp(h->e_ident, ELFMAG, SELFMAG) || h->e_ident[EI_CLASS] != ELFCLASS64 ||
	    h->e_machine != EM_X86_64 || h->e_type != ET_DYN)
		return NULL;
	return h;
}

bool gmo_image_fits(const struct gmo_tgt_image *image)
{
	return header(image);
}

/* Where the table of entries lies, from the section headers. From clang 16 on there is none, and
 * entries are found among the image's symbols. */
static void find_table(struct gmo_image *i)
{
	const Elf64_Ehdr *h = header(i->from);
	size_t bytes = (size_t)((char *)i->from->end - (char *)i->from->start);

	if (!h || h->e_shoff > bytes || h->e_shentsize != sizeof(Elf64_Shdr) ||
	    h->e_shnum > (bytes - h->e_shoff) / sizeof(Elf64_Shdr) || h->e_shstrndx >= h->e_shnum)
		return;
	const Elf64_Shdr *s = (const Elf64_Shdr *)((const char *)h + h->e_shoff),
			 *names = &s[h->e_shstrndx];
	for (unsigned k = 0; k < h->e_shnum; k++) {
		if (names->sh_offset + s[k].sh_name + sizeof ENTRIES_SECTION > bytes ||
		    strcmp((const char *)h + names->sh_offset + s[k].sh_name, ENTRIES_SECTION))
			continue;
		i->table = s[k].sh_addr;
		i->table_entries = s[k].sh_size / sizeof(struct gmo_tgt_entry);
		return;
	}
}

/* ---- loading ---- */

/* The library that the program itself uses; by its name when it uses none. */
static void find_runtime(char *path, size_t bytes)
{
	void *fn = dlsym(RTLD_DEFAULT, "__kmpc_global_thread_num"); /* not one that is hooked */
	Dl_info info;

	snprintf(path, bytes, "%s", fn && dladdr(fn, &info) ? info.dli_fname : RUNTIME);
}

/* Everything that the device reads and writes while it loads: one mapping of the window. */
struct room {
	size_t bytes;
	char *file;
	struct gmo_entry *entries;
	struct gmo_range *ranges;
};

static bool make_image_room(const struct gmo_image *i, struct room *r)
{
	const struct gmo_tgt_entry *from = i->from->entries_begin;
	size_t file = gm_align_up(i->file_bytes, 64), entries = i->n * sizeof(struct gmo_entry),
	       names = 0;

	for (size_t k = 0; k < i->n; k++)
		names += strlen(from[k].name) + 1;
	r->bytes = file + entries + GMO_RANGES * sizeof(struct gmo_range) + names;
	r->file = gm_mmap(NULL, NULL, r->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
	if (r->file == MAP_FAILED)
		return false;
	r->entries = (struct gmo_entry *)(r->file + file);
	r->ranges = (struct gmo_range *)(r->file + file + entries);
	memcpy(r->file, i->from->start, i->file_bytes);
	char *at = (char *)(r->ranges + GMO_RANGES);
	for (size_t k = 0; k < i->n; k++) {
		r->entries[k].name = (uint64_t)at;
		at = stpcpy(at, from[k].name) + 1;
	}
	return true;
}

static int load_there(struct gmo_device *d, const struct gmo_image *i, const struct room *r)
{
	struct gmo_load a = {
		.image = i->number,
		.threads = gmi_sim_workers(d->sim),
		.device = (uint32_t)d->number,
		.ndevices = (uint32_t)gmo_devices(),
		.file = (uint64_t)r->file,
		.file_bytes = i->file_bytes,
		.table = i->table,
		.table_entries = i->table_entries,
		.entries = (uint64_t)r->entries,
		.nentries = i->n,
		.ranges = (uint64_t)r->ranges,
		.nranges = gmo_unified ? gmo_ranges(r->ranges, GMO_RANGES) : 0,
	};

	find_runtime(a.runtime, sizeof a.runtime);
	snprintf(a.threads_variable, sizeof a.threads_variable, "OMP_NUM_THREADS_DEV_%d",
		 d->number);
	return gmo_launch_load(d, "gmo_load", "a target image", &a, sizeof a);
}

/* "__omp_offloading_fe00_a744dd_main_l12" -> "main line 12": neither device nor inode of the
 * source say anything. */
static void make_kernel_label(const char *name, char *label, size_t bytes)
{
	static const char prefix[] = "__omp_offloading_";
	const char *fn = name;

	if (!strncmp(name, prefix, sizeof prefix - 1)) {
		fn += sizeof prefix - 1;
		for (int i = 0; i < 2; i++)
			fn = strchr(fn, '_') ? strchr(fn, '_') + 1 : fn;
	}
	const char *line = strrchr(fn, '_');
	if (fn != name && line && line[1] == 'l')
		snprintf(label, bytes, "%.*s line %s", (int)(line - fn), fn, line + 2);
	else
		snprintf(label, bytes, "%s", name);
}

/* As the program has it, but for the addresses. */
static int make_table(struct gmo_device *d, struct gmo_image *i, const struct gmo_entry *found)
{
	i->nvariables = 0;
	for (size_t k = 0; k < i->n; k++) {
		const struct gmo_tgt_entry *host = &i->from->entries_begin[k];
		struct region *r = &i->regions[k];
		if (!found[k].addr) {
			gmo_say(d, "a target image lacks %s", host->name);
			return -ENOEXEC;
		}
		*r = (struct region){.image = i, .entry = (uint32_t)k};
		if (i->here)
			r->here = (void (*)(void))(uintptr_t)found[k].addr;
		make_kernel_label(host->name, r->label, sizeof r->label);
		i->nvariables += host->size != 0;
		i->result.begin[k] = *host;
		i->result.begin[k].addr = host->size ? (void *)found[k].addr : r;
	}
	i->result.end = i->result.begin + i->n;
	return 0;
}

/* Variables of images that are there already would stay behind. */
static bool may_come_here(const struct gmo_device *d)
{
	for (const struct gmo_image *i = images[d->number]; i; i = i->next)
		if (i->nvariables && !i->here)
			return false;
	return true;
}

/* No device can load it: as with the runtime's own plug-in it is one more library of the program.
 * 0 or -errno (said). */
static int load_here(struct gmo_device *d, struct gmo_image *i, struct gmo_entry *entries)
{
	const char *why = NULL;

	i->here = gmo_open_image(i->from->start, i->file_bytes, &why);
	if (!i->here) {
		gmo_say(d, "nor can the host load it: %s", why);
		return -ENOEXEC;
	}
	for (size_t k = 0; k < i->n; k++)
		entries[k].addr = (uint64_t)gmo_find_entry(i->here, i->table, i->table_entries,
							   i->from->entries_begin[k].name);
	return 0;
}

/* The image can be used afterwards, described by i->result. 0 or -errno (said). */
static int load_image_for(struct gmo_device *d, struct gmo_image *i)
{
	struct room r;

	if (!make_image_room(i, &r))
		return -ENOMEM;
	int err = d->on_host ? -ENODEV : load_there(d, i, &r);
	if (d->on_host && may_come_here(d))
		err = load_here(d, i, r.entries);
	if (!err)
		err = make_table(d, i, r.entries);
	gm_munmap(r.file, r.bytes);
	return err;
}

/* Under unified_shared_memory a global variable is reached through a pointer in the image: it
 * gets the host's value. */
static int link_variables(struct gmo_device *d, const struct gmo_image *i)
{
	static const char suffix[] = "_decl_tgt_ref_ptr";
	int err = 0;

	for (size_t k = 0; gmo_unified && k < i->n && !err; k++) {
		const struct gmo_tgt_entry *host = &i->from->entries_begin[k];
		if (host->size == sizeof(void *) && strstr(host->name, suffix))
			err = gmo_submit(d, i->result.begin[k].addr, host->addr, sizeof(void *));
	}
	return err;
}

static struct gmo_image *new_image(struct gmo_device *d, const struct gmo_tgt_image *from)
{
	struct gmo_image *i = calloc(1, sizeof *i);

	if (!i)
		return NULL;
	i->from = from;
	i->file_bytes = (size_t)((char *)from->end - (char *)from->start);
	i->n = (size_t)(from->entries_end - from->entries_begin);
	i->number = next_number[d->number];
	if (i->number >= GMO_IMAGES) {
		gmo_say(d, "too many target images");
		free(i);
		return NULL;
	}
	find_table(i);
	i->regions = calloc(i->n + 1, sizeof *i->regions);
	i->result.begin = calloc(i->n + 1, sizeof *i->result.begin);
	return i;
}

static void free_image(struct gmo_image *i)
{
	free(i->regions);
	free(i->result.begin);
	free(i);
}

struct gmo_tgt_table *gmo_image_load(struct gmo_device *d, const struct gmo_tgt_image *from)
{
	struct gmo_image *i = images[d->number];

	while (i && i->from != from)
		i = i->next;
	if (i)
		return &i->result;
	i = new_image(d, from);
	if (!i)
		return NULL;
	if (!i->regions || !i->result.begin || load_image_for(d, i) || link_variables(d, i)) {
		free_image(i);
		return NULL;
	}
	next_number[d->number]++;
	i->next = images[d->number];
	images[d->number] = i;
	return &i->result;
}

/* ---- running ---- */

/* Into a fresh process. Its variables would have their first values again: no result is better
 * than a wrong one. */
static int reload(struct gmo_device *d, void *image)
{
	struct gmo_image *i = image;

	if (i->nvariables) {
		gmo_say(d,
			"its process was lost, and with it the global variables of a target image");
		return -EIO;
	}
	pthread_mutex_lock(&d->lock);
	int err = load_image_for(d, i);
	pthread_mutex_unlock(&d->lock);
	return i->here ? -ENODEV : err;
}

static int launch(struct gmo_device *d, struct region *r, struct gmo_run *a)
{
	return gmo_region_launch(d, &(struct gmo_region){
					    .kernel = "gmo_run",
					    .label = r->label,
					    .args = a,
					    .bytes = offsetof(struct gmo_run, args) +
						     (a->more ? 0 : gm_max(a->nargs, 6u)) * 8,
					    .reload = reload,
					    .of = r->image,
				    });
}

/* More arguments than fit into a launch go there by memory of the device. */
static int send_arguments(struct gmo_device *d, struct gmo_run *a, const uint64_t *values, size_t n)
{
	uint64_t *there = gmo_alloc(d, n * sizeof *there);

	a->more = (uint64_t)there;
	return there ? gmo_submit(d, there, values, n * sizeof *there) : -ENOMEM;
}

int gmo_region_run(struct gmo_device *d, void *region, void **args, const ptrdiff_t *offsets, int n)
{
	struct region *r = region;
	struct gmo_run a = {.image = r->image->number, .entry = r->entry, .foreign = gmo_unified};
	uint64_t *values = n > GMO_ARGS ? malloc((size_t)n * 8) : a.args;
	int err = values ? 0 : -ENOMEM;

	for (int i = 0; i < n && !err; i++)
		values[i] = (uint64_t)args[i] + (uint64_t)offsets[i];
	if (n > GMO_ARGS && !err && !r->here)
		err = send_arguments(d, &a, values, (size_t)n);
	a.nargs = (uint32_t)n;
	if (!err && !r->here)
		err = launch(d, r, &a);
	if (r->here && (!err || err == -ESTALE)) {
		gmo_call(r->here, values, a.nargs);
		err = 0;
	}
	if (values != a.args)
		free(values);
	if (a.more)
		gmo_free(d, (void *)a.more);
	return err;
}
