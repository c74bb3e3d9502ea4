/* dynamic.h - what a loaded module's dynamic section says, without the loader's lock. */
#ifndef GM_DYNAMIC_H
#define GM_DYNAMIC_H

#include <elf.h>
#include <link.h>
#include <stddef.h>
#include <stdint.h>

struct gm_dynamic {		    /* NULL: it has none */
	const ElfW(Rela) * rela[2]; /* all, and those of the procedure linkage table */
	size_t nrela[2];	    /* records of each */
	const ElfW(Sym) * symbols;  /* their number is nowhere but in the hash tables */
	const char *names;	    /* of symbols */
	const uint32_t *hash, *gnu; /* System V's table, GNU's */
};

/*
 * The loader adds the module's bias to these addresses where it may write; where it may not (the
 * vDSO, musl), they lie below every module.
 */
static inline struct gm_dynamic gm_dynamic_of(const ElfW(Dyn) * d, uintptr_t bias)
{
	struct gm_dynamic m = {.names = NULL};

	for (; d && d->d_tag != DT_NULL; d++) {
		uintptr_t value = d->d_un.d_ptr;
		const void *at = (const void *)(value < bias ? value + bias : value);
		switch (d->d_tag) {
		case DT_RELA:
			m.rela[0] = at;
			break;
		case DT_RELASZ:
			m.nrela[0] = value / sizeof **m.rela;
			break;
		case DT_JMPREL:
			m.rela[1] = at;
			break;
		case DT_PLTRELSZ:
			m.nrela[1] = value / sizeof **m.rela;
			break;
		case DT_SYMTAB:
			m.symbols = at;
			break;
		case DT_STRTAB:
			m.names = at;
			break;
		case DT_HASH:
			m.hash = at;
			break;
		case DT_GNU_HASH:
			m.gnu = at;
			break;
		default:
			break;
		}
	}
	return m;
}

#endif
