/*
 * got.c - what LLVM's plug-in for x86_64 does by five functions of others, done on a device.
 *
 * It writes an image to a temporary file and lets LLVM's loader open that, asks it for the
 * addresses of regions and variables, allocates device memory by malloc and copies by memcpy.
 * These five imports of libomptarget.so.19.1 lead here. A region becomes a function of ours
 * (forward_x86_64.S), a variable its device address. What does not belong to a device, other
 * allocations and copies of that library, is done as it would be.
 *
 * The lock is held for looking things up only.
 */
#include "core/sys/dynamic.h"
#include "omp/llvm19/llvm19.h"
#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <unistd.h>

#define KNOWN_IMAGES 64

struct loaded { /* what the library takes for a handle of its loader */
	int32_t device;
	const struct gmo_tgt_table *table;
};
static struct gmo_tgt_image known[KNOWN_IMAGES];
static unsigned nknown;
static struct loaded loaded[KNOWN_IMAGES * GMO_DEVICES];
static unsigned nloaded;
static struct thunk {
	int32_t device;
	void *region;
} thunks[GMO_THUNKS];
static unsigned nthunks;

static struct piece { /* of device memory: allocations and variables */
	char *at;
	size_t bytes;
	int32_t device;
	bool variable;
} * pieces; /* sorted */
static size_t npieces, max_pieces;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static __attribute__((noreturn)) void end_program(const char *why)
{
	fprintf(stderr, "gmem: %s\n", why);
	abort(); /* as the library does itself when a plug-in fails */
}

/* ---- device memory ---- */

/* How many begin at or before p. Locked. */
static size_t pieces_until(const void *p)
{
	size_t low = 0, high = npieces;

	while (low < high) {
		size_t middle = (low + high) / 2;
		if ((const char *)p < pieces[middle].at)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static bool add_piece(const struct piece *new)
{
	bool fits = true;

	pthread_mutex_lock(&lock);
	if (npieces == max_pieces) {
		size_t max = max_pieces ? 2 * max_pieces : 256;
		struct piece *longer = realloc(pieces, max * sizeof *pieces);
		fits = longer;
		if (fits) {
			pieces = longer;
			max_pieces = max;
		}
	}
	if (fits) {
		size_t n = pieces_until(new->at);
		memmove(&pieces[n + 1], &pieces[n], (npieces - n) * sizeof *pieces);
		pieces[n] = *new;
		npieces++;
	}
	pthread_mutex_unlock(&lock);
	return fits;
}

/* The piece that p lies in; at NULL: none. take: only one that begins there, and it is no piece any
 * more. */
static struct piece find_piece(const void *p, bool take)
{
	struct piece found = {0};

	pthread_mutex_lock(&lock);
	size_t n = pieces_until(p);
	if (n && (take ? pieces[n - 1].at == p && !pieces[n - 1].variable
		       : (size_t)((const char *)p - pieces[n - 1].at) < pieces[n - 1].bytes))
		found = pieces[n - 1];
	if (take && found.at) {
		npieces--;
		memmove(&pieces[n - 1], &pieces[n], (npieces - n + 1) * sizeof *pieces);
	}
	pthread_mutex_unlock(&lock);
	return found;
}

static struct gmo_device *ready(int32_t id)
{
	return gmo_device_init(id) ? NULL : gmo_device(id);
}

static void *got_malloc(size_t bytes)
{
	struct gmo_device *d = gmo_now.depth && bytes ? ready(gmo_now.device) : NULL;
	struct piece new = {.bytes = bytes, .device = gmo_now.device};

	if (!d)
		return malloc(bytes);
	new.at = gmo_alloc(d, bytes);
	if (new.at && !add_piece(&new)) {
		gmo_free(d, new.at);
		new.at = NULL;
	}
	return new.at;
}

static void got_free(void *p)
{
	struct piece was = p ? find_piece(p, true) : (struct piece){0};

	if (was.at)
		gmo_free(gmo_device(was.device), was.at);
	else
		free(p);
}

/* A variable's address means nothing here: its bytes come by way of the host. */
static int copy_variable(const struct piece *to_piece, const struct piece *from_piece, void *to,
			 const void *from, size_t bytes)
{
	char *through = malloc(bytes);
	int err = through ? gmo_retrieve(gmo_device(from_piece->device), through, from, bytes) : -1;

	if (!err)
		err = gmo_submit(gmo_device(to_piece->device), to, through, bytes);
	free(through);
	return err;
}

static void *got_memcpy(void *to, const void *from, size_t bytes)
{
	struct piece t = find_piece(to, false), f = find_piece(from, false);
	int err = 0;

	if (t.at && f.at && f.variable)
		err = copy_variable(&t, &f, to, from, bytes);
	else if (t.at)
		err = gmo_submit(gmo_device(t.device), to, from, bytes);
	else if (f.at)
		err = gmo_retrieve(gmo_device(f.device), to, from, bytes);
	else
		memcpy(to, from, bytes);
	if (err)
		end_program("a copy failed, and this libomptarget cannot be told");
	return to;
}

/* ---- images ---- */

void gmo_image_known(const struct gmo_tgt_image *image, const struct gmo_tgt_entry *begin,
		     const struct gmo_tgt_entry *end)
{
	size_t n = (size_t)(end - begin), k = 0;
	struct gmo_tgt_entry *own = calloc(n + 1, sizeof *own);

	if (!own || nknown == KNOWN_IMAGES) {
		free(own);
		return;
	}
	for (const struct gmo_tgt_entry *e = begin; e < end; e++)
		if (e->addr && *e->name) /* others say what the program requires */
			own[k++] = *e;
	known[nknown] = *image;
	known[nknown].entries_begin = own;
	known[nknown].entries_end = own + k;
	nknown++;
}

/* Which image is in the file? NULL: none of ours. */
static const struct gmo_tgt_image *image_of(const char *file)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *text = MAP_FAILED;
	const struct gmo_tgt_image *found = NULL;

	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0)
		text = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	for (unsigned i = 0; i < nknown && !found && text != MAP_FAILED; i++) {
		size_t bytes = (size_t)((char *)known[i].end - (char *)known[i].start);
		if (bytes == (size_t)st.st_size && !memcmp(known[i].start, text, bytes))
			found = &known[i];
	}
	if (text != MAP_FAILED)
		munmap(text, (size_t)st.st_size);
	if (fd >= 0)
		close(fd);
	return found;
}

/* std::string *error is filled in by the real one alone. */
static void *(*llvm_library)(const char *file, void *error);
static void *(*llvm_symbol)(void **library, const char *name);

static struct loaded *got_load_image(const struct gmo_tgt_image *image)
{
	struct gmo_device *d = ready(gmo_now.device);

	if (!d || nloaded == GM_ARRAY_LEN(loaded))
		return NULL;
	pthread_mutex_lock(&d->lock);
	struct gmo_tgt_table *table = gmo_image_load(d, image);
	pthread_mutex_unlock(&d->lock);
	if (!table)
		return NULL;
	for (const struct gmo_tgt_entry *e = table->begin; e < table->end; e++)
		if (e->size && !add_piece(&(struct piece){e->addr, e->size, d->number, true}))
			return NULL;
	pthread_mutex_lock(&lock);
	struct loaded *new = &loaded[nloaded++];
	*new = (struct loaded){d->number, table};
	pthread_mutex_unlock(&lock);
	return new;
}

static void *got_library(const char *file, void *error)
{
	const struct gmo_tgt_image *image = file && gmo_now.depth ? image_of(file) : NULL;
	struct loaded *l = image ? got_load_image(image) : NULL;

	if (image && !l)
		end_program("a target image could not be loaded on its device");
	if (!l)
		return llvm_library(file, error);
	unlink(file); /* the library forgets it */
	return l;
}

static void *thunk_of(int32_t device, void *region)
{
	void *at = NULL;

	pthread_mutex_lock(&lock);
	if (nthunks < GMO_THUNKS) {
		thunks[nthunks] = (struct thunk){device, region};
		at = gmo_thunks[nthunks++];
	}
	pthread_mutex_unlock(&lock);
	if (!at)
		end_program("too many target regions");
	return at;
}

static void *got_symbol(void **library, const char *name)
{
	const struct loaded *l = *library;

	if (l < loaded || l >= loaded + GM_ARRAY_LEN(loaded))
		return llvm_symbol(library, name);
	for (const struct gmo_tgt_entry *e = l->table->begin; e < l->table->end; e++)
		if (!strcmp(e->name, name))
			return e->size ? e->addr : thunk_of(l->device, e->addr);
	return NULL;
}

/* ---- regions ---- */

void gmo_thunk_launch(uint64_t number, const uint64_t *registers, const uint64_t *stack)
{
	const struct thunk *t = &thunks[number];
	uint32_t n = gmo_now.nargs;
	void **args = calloc(n + 1, sizeof *args);
	ptrdiff_t *offsets = calloc(n + 1, sizeof *offsets);

	if (!args || !offsets)
		end_program("no memory for the arguments of a target region");
	for (uint32_t i = 0; i < n; i++)
		args[i] = (void *)(i < 6 ? registers[i] : stack[i - 6]);
	if (gmo_region_run(gmo_device(t->device), t->region, args, offsets, (int)n))
		end_program("a target region failed on its device");
	free(args);
	free(offsets);
}

/* ---- the library's imports ---- */

static const struct {
	const char *name;
	void *ours, **real;
} wanted_imports[] = {
	{"_ZN4llvm3sys14DynamicLibrary19getPermanentLibraryEPKcPNSt7__cxx1112basic_"
	 "stringIcSt11char_"
	 "traitsIcESaIcEEE",
	 got_library, (void **)&llvm_library},
	{"_ZN4llvm3sys14DynamicLibrary18getAddressOfSymbolEPKc", got_symbol, (void **)&llvm_symbol},
	{"malloc", got_malloc, NULL},
	{"free", got_free, NULL},
	{"memcpy", got_memcpy, NULL},
};

/* Is the page one that the loader has made read-only? */
static bool is_relro(const struct link_map *library, uintptr_t page)
{
	const ElfW(Ehdr) *h = (const void *)library->l_addr;
	const ElfW(Phdr) *p = (const void *)(library->l_addr + h->e_phoff);

	for (unsigned i = 0; i < h->e_phnum; i++) {
		uintptr_t begin = library->l_addr + p[i].p_vaddr;
		if (p[i].p_type == PT_GNU_RELRO && page >= gm_align_down(begin, GM_PAGE_BYTES) &&
		    page + GM_PAGE_BYTES <= begin + p[i].p_memsz)
			return true;
	}
	return false;
}

static bool set_slot(const struct link_map *library, void **slot, void *to)
{
	uintptr_t page = gm_align_down((uintptr_t)slot, GM_PAGE_BYTES);
	bool relro = is_relro(library, page);

	if (relro && mprotect((void *)page, GM_PAGE_BYTES, PROT_READ | PROT_WRITE))
		return false;
	*slot = to;
	return !relro || mprotect((void *)page, GM_PAGE_BYTES, PROT_READ) == 0;
}

/* Calls visit for every pointer to a function that the loader has filled in. */
static bool each_import(const struct link_map *library,
			bool (*visit)(const struct link_map *library, const char *name, void **slot,
				      void *to),
			void *to)
{
	struct gm_dynamic m = gm_dynamic_of(library->l_ld, library->l_addr);

	for (unsigned k = 0; k < 2; k++)
		for (size_t i = 0; i < m.nrela[k]; i++) {
			const ElfW(Rela) *r = &m.rela[k][i];
			unsigned type = ELF64_R_TYPE(r->r_info);
			if (type != R_X86_64_JUMP_SLOT && type != R_X86_64_GLOB_DAT &&
			    type != R_X86_64_64)
				continue;
			if (!visit(library, m.names + m.symbols[ELF64_R_SYM(r->r_info)].st_name,
				   (void **)(library->l_addr + r->r_offset), to))
				return false;
		}
	return true;
}

static bool note_import(const struct link_map *library, const char *name, void **slot, void *found)
{
	for (unsigned i = 0; i < GM_ARRAY_LEN(wanted_imports); i++)
		if (!strcmp(name, wanted_imports[i].name)) {
			*(unsigned *)found |= 1u << i;
			if (wanted_imports[i].real)
				*wanted_imports[i].real = *slot;
		}
	return true;
}

static void *(*own_function)(const char *name);

static bool redirect_import(const struct link_map *library, const char *name, void **slot, void *to)
{
	Dl_info info;

	for (unsigned i = 0; i < GM_ARRAY_LEN(wanted_imports); i++)
		if (!strcmp(name, wanted_imports[i].name))
			return set_slot(library, slot, wanted_imports[i].ours);
	/* a name that we have, too: the library means itself */
	if (!dladdr(*slot, &info) || info.dli_fbase != to)
		return true;
	void *own = own_function(name);
	return !own || set_slot(library, slot, own);
}

bool gmo_got_redirect(struct link_map *library, void *(*own)(const char *name))
{
	unsigned found = 0, all = (1u << GM_ARRAY_LEN(wanted_imports)) - 1;
	Dl_info us;

	each_import(library, note_import, &found);
	if (found != all || !dladdr((void *)(uintptr_t)gmo_got_redirect, &us))
		return false;
	own_function = own;
	return each_import(library, redirect_import, us.dli_fbase);
}
