/*
 * entries.c - the calls that a program of clang 19 or flang 19 makes, on their way to LLVM's
 * library.
 *
 * Devices: the program counts 0 .. n - 1 and the host as n. LLVM's library counts 4 and the host
 * as 4. Each number is translated as it goes by, the default device's as well.
 *
 * Facts: offload/include/OpenMP/omp.h, Shared/APITypes.h and src/interface.cpp, release/19.x.
 */
#include "omp/llvm19/llvm19.h"
#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define API	  __attribute__((visibility("default")))
#define NAME	  "libomptarget.so.19.1"
#define REQUIRES  0x10 /* OMP_REGISTER_REQUIRES: an entry that is none */
#define PARAMETER 0x20 /* OMP_TGT_MAPTYPE_TARGET_PARAM */
#define UNIFIED	  0x8  /* OMP_REQ_UNIFIED_SHARED_MEMORY */

typedef uint64_t word;

__thread struct gmo_now gmo_now;
static void *llvm; /* its library */
static bool works;

/* ---- LLVM's library ---- */

/* Ours has the same name: by its path, where the loader would look. */
static void *open_in(const char *folder, const char *ours)
{
	char path[4096], *real, *own = realpath(ours, NULL);
	void *handle = NULL;

	snprintf(path, sizeof path, "%s/" NAME, folder);
	real = realpath(path, NULL);
	if (real && own && strcmp(real, own) != 0)
		handle = dlopen(real, RTLD_NOW | RTLD_LOCAL);
	free(real);
	free(own);
	return handle;
}

static void *open_llvm(const char *ours)
{
	static const char *const usual[] = {"/usr/lib/llvm-19/lib", "/usr/local/lib"};
	void *program = dlopen(NULL, RTLD_LAZY), *handle = NULL;
	Dl_serinfo size, *places = NULL;

	if (program && dlinfo(program, RTLD_DI_SERINFOSIZE, &size) == 0 &&
	    (places = malloc(size.dls_size))) {
		memcpy(places, &size, sizeof size);
		dlinfo(program, RTLD_DI_SERINFOSIZE, places);
		if (dlinfo(program, RTLD_DI_SERINFO, places) == 0)
			for (unsigned i = 0; i < places->dls_cnt && !handle; i++)
				handle = open_in(places->dls_serpath[i].dls_name, ours);
	}
	for (unsigned i = 0; i < GM_ARRAY_LEN(usual) && !handle; i++)
		handle = open_in(usual[i], ours);
	free(places);
	return handle;
}

/* What LLVM's library has under a name of ours. */
static void *llvm_own(const char *name)
{
	return dlsym(llvm, name);
}

bool gmo_llvm19_works(void)
{
	return works;
}

static void fill_forwards(void)
{
	size_t i = 0;

	for (const char *name = gmo_forward_names; *name; name += strlen(name) + 1)
		gmo_forwards[i++] = dlsym(llvm, name);
}

/* Before the program's constructors, which register its images. */
__attribute__((constructor)) static void start_llvm19(void)
{
	struct link_map *map;
	Dl_info info = {0};

	dladdr((void *)(uintptr_t)start_llvm19, &info);
	llvm = open_llvm(info.dli_fname);
	if (!llvm) {
		fputs("gmem: LLVM's own " NAME " is not found; add its folder to "
		      "LD_LIBRARY_PATH\n",
		      stderr);
		_exit(127); /* as the loader */
	}
	fill_forwards();
	if (!gmo_devices())
		return;
	works = dlinfo(llvm, RTLD_DI_LINKMAP, &map) == 0 && gmo_got_redirect(map, llvm_own);
	if (!works)
		fprintf(stderr,
			"gmem: %s is of a build that gmem does not know: its target regions run on "
			"the host\n",
			info.dli_fname ? map->l_name : NAME);
	else
		gmo_leave_cpus();
}

/* ---- devices ---- */

static int wanted(void)
{
	return (int)gm_min(gmo_devices(), GMO_DEVICES);
}

static int default_device(void)
{
	int (*get)(void) = (int (*)(void))(uintptr_t)dlsym(RTLD_DEFAULT, "omp_get_default_device");

	return get ? get() : 0;
}

/* LLVM's number of the program's device `id`. */
static int64_t theirs(int64_t id)
{
	if (!works)
		return id;
	if (id == -1)
		id = default_device();
	return id >= wanted() ? id - wanted() + GMO_DEVICES : id;
}

static struct gmo_now enter(int64_t id)
{
	struct gmo_now was = gmo_now;

	if (works && id >= 0 && id < wanted()) {
		gmo_now.depth++;
		gmo_now.device = (int32_t)id;
	}
	return was;
}

/* ---- what is registered ---- */

struct offload_header { /* llvm/Object/OffloadBinary.h */
	unsigned char magic[4];
	uint32_t version;
	uint64_t size, entry, entry_size;
};
struct offload_entry {
	uint16_t image_kind, offload_kind;
	uint32_t flags;
	uint64_t strings, nstrings, image, image_size;
};
struct descriptor {
	int32_t n;
	struct gmo_tgt_image *images;
	struct gmo_tgt_entry *begin, *end;
};

/* The ELF file in an image. */
static struct gmo_tgt_image unwrap(struct gmo_tgt_image image)
{
	const struct offload_header *h = image.start;
	size_t bytes = (size_t)((char *)image.end - (char *)image.start);

	if (bytes < sizeof *h || memcmp(h->magic, "\x10\xff\x10\xad", 4) != 0 ||
	    h->entry + sizeof(struct offload_entry) > bytes)
		return image;
	const struct offload_entry *e = (const void *)((char *)image.start + h->entry);
	if (e->image + e->image_size > bytes)
		return image;
	image.start = (char *)image.start + e->image;
	image.end = (char *)image.start + e->image_size;
	return image;
}

API void __tgt_register_lib(struct descriptor *d)
{
	for (const struct gmo_tgt_entry *e = d->begin; works && e < d->end; e++)
		if (!e->size && e->flags & REQUIRES)
			gmo_unified |= (e->reserved & UNIFIED) != 0;
	for (int32_t i = 0; works && i < d->n; i++) {
		struct gmo_tgt_image image = unwrap(d->images[i]);
		if (gmo_image_fits(&image))
			gmo_image_known(&image, d->begin, d->end);
	}
	((void (*)(struct descriptor *))(uintptr_t)llvm_own(__func__))(d);
}

/* ---- regions and mapping: the device is the second argument ---- */

static uint32_t parameters(const struct gmo_kernel_args *a)
{
	uint32_t n = a->version >= 3; /* the first one is libomptarget's */

	for (uint32_t i = 0; i < a->nargs; i++)
		n += (a->types[i] & PARAMETER) != 0;
	return n;
}

#define WORDS                                                                                      \
	word a, word id, word c, word d, word e, word f, word g, word h, word i, word j, word k,   \
		word l, word m
#define PASS(device) a, (word)(device), c, d, e, f, g, h, i, j, k, l, m
/* LLVM's function of that name; found once: threads store the same. */
#define LLVM(name)                                                                                 \
	static __typeof__(name) *llvm_fn;                                                          \
	if (!llvm_fn)                                                                              \
	llvm_fn = (__typeof__(name) *)(uintptr_t)llvm_own(#name)

/* `type name(...)`: LLVM's own, with the devices numbered as it knows them; `around`: what is done
 * with the call. */
#define ENTRY(type, name, around)                                                                  \
	API type name(WORDS)                                                                       \
	{                                                                                          \
		LLVM(name);                                                                        \
		int64_t n = theirs((int64_t)id);                                                   \
		struct gmo_now was = enter(n);                                                     \
		around(llvm_fn(PASS(n)));                                                          \
	}
#define REGION(call)                                                                               \
	gmo_now.nargs = parameters((const struct gmo_kernel_args *)f);                             \
	word result = call;                                                                        \
	gmo_now = was;                                                                             \
	return result
#define MAPPER(call)                                                                               \
	call;                                                                                      \
	gmo_now = was
ENTRY(word, __tgt_target_kernel, REGION)
ENTRY(word, __tgt_target_kernel_nowait, REGION)
ENTRY(void, __tgt_target_data_begin_mapper, MAPPER)
ENTRY(void, __tgt_target_data_end_mapper, MAPPER)
ENTRY(void, __tgt_target_data_update_mapper, MAPPER)
ENTRY(void, __tgt_target_data_begin_nowait_mapper, MAPPER)
ENTRY(void, __tgt_target_data_end_nowait_mapper, MAPPER)
ENTRY(void, __tgt_target_data_update_nowait_mapper, MAPPER)

/* ---- OpenMP's own functions ---- */

API int omp_get_num_devices(void)
{
	LLVM(omp_get_num_devices);
	int n = llvm_fn(); /* 0: OMP_TARGET_OFFLOAD=disabled */

	return works ? gm_min(n, wanted()) : n;
}

API int omp_get_initial_device(void)
{
	LLVM(omp_get_initial_device);
	int n = llvm_fn();

	return works ? n - GMO_DEVICES + wanted() : n;
}

API int omp_get_device_num(void)
{
	return omp_get_initial_device();
}

/* One device: its number is the argument `device` of `type name(params)`. */
#define OF_DEVICE(type, name, params, device, ...)                                                 \
	API type name params                                                                       \
	{                                                                                          \
		LLVM(name);                                                                        \
		int n = (int)theirs(device);                                                       \
		struct gmo_now was = enter(n);                                                     \
		type result = llvm_fn(__VA_ARGS__);                                                \
		gmo_now = was;                                                                     \
		return result;                                                                     \
	}
#define ALLOCATES(name) OF_DEVICE(void *, name, (size_t bytes, int device), device, bytes, n)
#define FREES(name)                                                                                \
	API void name(void *p, int device)                                                         \
	{                                                                                          \
		LLVM(name);                                                                        \
		llvm_fn(p, (int)theirs(device));                                                   \
	}
ALLOCATES(omp_target_alloc)
ALLOCATES(llvm_omp_target_alloc_device)
ALLOCATES(llvm_omp_target_alloc_host)
ALLOCATES(llvm_omp_target_alloc_shared)
FREES(omp_target_free)
FREES(llvm_omp_target_free_device)
FREES(llvm_omp_target_free_host)
FREES(llvm_omp_target_free_shared)
FREES(llvm_omp_target_unlock_mem)
OF_DEVICE(void *, llvm_omp_target_lock_mem, (void *p, size_t bytes, int device), device, p, bytes,
	  n)
OF_DEVICE(int, omp_target_is_present, (const void *p, int device), device, p, n)
OF_DEVICE(void *, omp_get_mapped_ptr, (const void *p, int device), device, p, n)
OF_DEVICE(int, omp_target_associate_ptr,
	  (const void *host, const void *there, size_t bytes, size_t offset, int device), device,
	  host, there, bytes, offset, n)
OF_DEVICE(int, omp_target_disassociate_ptr, (const void *host, int device), device, host, n)
OF_DEVICE(void *, omp_target_memset, (void *p, int c, size_t bytes, int device), device, p, c,
	  bytes, n)
OF_DEVICE(void *, omp_target_memset_async,
	  (void *p, int c, size_t bytes, int device, int ndepend, void *depend), device, p, c,
	  bytes, n, ndepend, depend)

/* Two: what is copied is found out by the addresses (got.c). */
API int omp_target_memcpy(void *to, const void *from, size_t bytes, size_t to_offset,
			  size_t from_offset, int to_device, int from_device)
{
	LLVM(omp_target_memcpy);
	return llvm_fn(to, from, bytes, to_offset, from_offset, (int)theirs(to_device),
		       (int)theirs(from_device));
}

API int omp_target_memcpy_async(void *to, const void *from, size_t bytes, size_t to_offset,
				size_t from_offset, int to_device, int from_device, int ndepend,
				void *depend)
{
	LLVM(omp_target_memcpy_async);
	return llvm_fn(to, from, bytes, to_offset, from_offset, (int)theirs(to_device),
		       (int)theirs(from_device), ndepend, depend);
}

API int omp_target_memcpy_rect(void *to, const void *from, size_t element, int dims,
			       const size_t *volume, const size_t *to_offsets,
			       const size_t *from_offsets, const size_t *to_dims,
			       const size_t *from_dims, int to_device, int from_device)
{
	LLVM(omp_target_memcpy_rect);
	return llvm_fn(to, from, element, dims, volume, to_offsets, from_offsets, to_dims,
		       from_dims, to ? (int)theirs(to_device) : to_device,
		       from ? (int)theirs(from_device) : from_device);
}

API int omp_target_memcpy_rect_async(void *to, const void *from, size_t element, int dims,
				     const size_t *volume, const size_t *to_offsets,
				     const size_t *from_offsets, const size_t *to_dims,
				     const size_t *from_dims, int to_device, int from_device,
				     int ndepend, void *depend)
{
	LLVM(omp_target_memcpy_rect_async);
	return llvm_fn(to, from, element, dims, volume, to_offsets, from_offsets, to_dims,
		       from_dims, to ? (int)theirs(to_device) : to_device,
		       from ? (int)theirs(from_device) : from_device, ndepend, depend);
}
