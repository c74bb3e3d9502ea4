/*
 * needed.c - which libraries does an ELF program name (DT_NEEDED)? Tells programs whose
 * sanitizer has a runtime that wants to be the first library, and programs that use no library
 * at all.
 */
#include "tools/view.h"
#include <elf.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_SEGMENTS 64
#define MAX_DYNAMIC  512
#define NAME_BYTES   64
#define MAX_STRINGS  ((uint64_t)64 << 20)

static const struct {
	const char *library, *name;
} runtimes[] = {{"libasan.so", "address"},
		{"libclang_rt.asan", "address"},
		{"libhwasan.so", "hardware-assisted address"},
		{"libtsan.so", "thread"},
		{"libclang_rt.tsan", "thread"},
		{"libclang_rt.msan", "memory"}};

struct elf {
	int fd;
	unsigned segments;
	Elf64_Phdr segment[MAX_SEGMENTS];
	Elf64_Dyn dynamic[MAX_DYNAMIC];
	uint64_t strings, string_bytes; /* file offset */
};

static uint64_t offset_of(const struct elf *e, uint64_t va)
{
	for (unsigned i = 0; i < e->segments; i++) {
		const Elf64_Phdr *p = &e->segment[i];
		if (p->p_type == PT_LOAD && va - p->p_vaddr < p->p_filesz)
			return va - p->p_vaddr + p->p_offset;
	}
	return 0;
}

/* false: not ELF, or no dynamic section. */
static bool load_elf(struct elf *e)
{
	Elf64_Ehdr h;

	if (pread(e->fd, &h, sizeof h, 0) != sizeof h || memcmp(h.e_ident, ELFMAG, SELFMAG) != 0 ||
	    h.e_phentsize != sizeof(Elf64_Phdr) || h.e_phnum > MAX_SEGMENTS)
		return false;
	size_t bytes = h.e_phnum * sizeof(Elf64_Phdr);
	if (pread(e->fd, e->segment, bytes, (off_t)h.e_phoff) != (ssize_t)bytes)
		return false;
	e->segments = h.e_phnum;
	for (unsigned i = 0; i < e->segments; i++) {
		const Elf64_Phdr *p = &e->segment[i];
		if (p->p_type != PT_DYNAMIC)
			continue;
		/* the last stays DT_NULL */
		bytes = gm_min(p->p_filesz, sizeof e->dynamic - sizeof(Elf64_Dyn));
		if (pread(e->fd, e->dynamic, bytes, (off_t)p->p_offset) != (ssize_t)bytes)
			return false;
		for (const Elf64_Dyn *d = e->dynamic; d->d_tag != DT_NULL; d++)
			if (d->d_tag == DT_STRTAB)
				e->strings = offset_of(e, d->d_un.d_ptr);
			else if (d->d_tag == DT_STRSZ)
				e->string_bytes = d->d_un.d_val;
		return e->strings != 0;
	}
	return false;
}

static void close_elf(struct elf *e)
{
	if (e && e->fd >= 0)
		close(e->fd);
	free(e);
}

/* NULL: cannot be read, not ELF, or without a dynamic section. */
static struct elf *open_elf(const char *path)
{
	struct elf *e = calloc(1, sizeof *e);

	if (!e)
		return NULL;
	e->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (e->fd >= 0 && load_elf(e))
		return e;
	close_elf(e);
	return NULL;
}

static const char *sanitizer(const char *library)
{
	for (unsigned i = 0; i < GM_ARRAY_LEN(runtimes); i++)
		if (!strncmp(library, runtimes[i].library, strlen(runtimes[i].library)))
			return runtimes[i].name;
	return NULL;
}

struct needed needed(const char *path)
{
	struct elf *e = open_elf(path);
	struct needed found = {.sanitizer = NULL, .none = e != NULL};

	for (const Elf64_Dyn *d = e ? e->dynamic : NULL;
	     d && d->d_tag != DT_NULL && !found.sanitizer; d++) {
		char name[NAME_BYTES] = "";
		if (d->d_tag != DT_NEEDED ||
		    pread(e->fd, name, sizeof name - 1, (off_t)(e->strings + d->d_un.d_val)) <= 0)
			continue;
		found.none = false;
		found.sanitizer = sanitizer(name);
	}
	close_elf(e);
	return found;
}

static unsigned find_names(const char *text, size_t bytes, const char *const names[], unsigned n)
{
	unsigned found = 0;

	for (const char *at = text, *end = text + bytes; at < end; at += strlen(at) + 1)
		for (unsigned i = 0; i < n; i++)
			if (!strncmp(at, names[i], strlen(names[i])))
				found |= 1u << i;
	return found;
}

unsigned names_in(const char *path, const char *const names[], unsigned n)
{
	struct elf *e = open_elf(path);
	char *text = e && e->string_bytes <= MAX_STRINGS ? calloc(1, e->string_bytes + 1) : NULL;
	unsigned found = 0;

	if (text && pread(e->fd, text, e->string_bytes, (off_t)e->strings) > 0)
		found = find_names(text, e->string_bytes, names, n);
	free(text);
	close_elf(e);
	return found;
}
