/* label.c - what people call a function of the program: its symbol, from the file. */
#include "omp/core/host.h"
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct label {
	struct label *next;
	const void *fn;
	char text[GMO_LABEL_BYTES];
};
static struct label *_Atomic labels; /* only grows */
static pthread_mutex_t labels_lock = PTHREAD_MUTEX_INITIALIZER;

/* The function at `at` of an ELF file that is mapped; NULL: it has no symbol. */
static const char *symbol_at(const char *file, size_t bytes, uint64_t at)
{
	const Elf64_Ehdr *h = (const void *)file;

	if (bytes < sizeof *h || memcmp(h->e_ident, ELFMAG, SELFMAG) || h->e_shoff > bytes ||
	    h->e_shnum > (bytes - h->e_shoff) / sizeof(Elf64_Shdr))
		return NULL;
	const Elf64_Shdr *s = (const void *)(file + h->e_shoff);
	for (unsigned i = 0; i < h->e_shnum; i++) {
		if (s[i].sh_type != SHT_SYMTAB || s[i].sh_link >= h->e_shnum ||
		    s[i].sh_offset + s[i].sh_size > bytes)
			continue;
		const Elf64_Shdr *names = &s[s[i].sh_link];
		const Elf64_Sym *sym = (const void *)(file + s[i].sh_offset);
		for (size_t n = 0; n < s[i].sh_size / sizeof *sym; n++)
			if (at - sym[n].st_value < gm_max(sym[n].st_size, 1) &&
			    ELF64_ST_TYPE(sym[n].st_info) == STT_FUNC &&
			    names->sh_offset + names->sh_size <= bytes &&
			    sym[n].st_name < names->sh_size)
				return file + names->sh_offset + sym[n].st_name;
	}
	return NULL;
}

static bool name_from_file(const char *path, uint64_t at, char *text, size_t bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *file = MAP_FAILED;

	if (fd >= 0 && fstat(fd, &st) == 0)
		file = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (fd >= 0)
		close(fd);
	if (file == MAP_FAILED)
		return false;
	const char *name = symbol_at(file, (size_t)st.st_size, at);
	if (name)
		snprintf(text, bytes, "%s", name);
	munmap(file, (size_t)st.st_size);
	return name;
}

static void make_label(const void *fn, char *text, size_t bytes)
{
	struct link_map *map = NULL;
	Dl_info info;

	if (!dladdr1(fn, &info, (void **)&map, RTLD_DL_LINKMAP) || !map) {
		snprintf(text, bytes, "%p", fn);
		return;
	}
	const char *path = map->l_name[0] ? map->l_name : "/proc/self/exe";
	const char *base = strrchr(info.dli_fname, '/');
	uint64_t at = (uint64_t)fn - map->l_addr;
	if (!name_from_file(path, at, text, bytes))
		snprintf(text, bytes, "%s+%#llx", base ? base + 1 : info.dli_fname,
			 (unsigned long long)at);
}

const char *gmo_label(const void *fn)
{
	struct label *l = labels;

	while (l && l->fn != fn)
		l = l->next;
	if (l)
		return l->text;
	l = calloc(1, sizeof *l);
	if (!l)
		return "target region";
	l->fn = fn;
	make_label(fn, l->text, sizeof l->text);
	pthread_mutex_lock(&labels_lock);
	l->next = labels;
	labels = l;
	pthread_mutex_unlock(&labels_lock);
	return l->text;
}
