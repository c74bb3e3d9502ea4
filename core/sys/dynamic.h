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

/* The section's word with that tag; 0: it has none. */
static inline uintptr_t gm_dynamic_word(const ElfW(Dyn) * d, int64_t tag)
{
	while (d && d->d_tag != DT_NULL && d->d_tag != tag)
		d++;
	return d && d->d_tag == tag ? d->d_un.d_ptr : 0;
}

/*
 * The same for an address. The loader adds the module's bias to these where it may write; where
 * it may not (the vDSO, musl), they lie below every module.
 */
static inline const void *gm_dynamic_at(const ElfW(Dyn) * d, uintptr_t bias, int64_t tag)
{
	uintptr_t at = gm_dynamic_word(d, tag);

	return (const void *)(at && at < bias ? at + bias : at);
}

static inline struct gm_dynamic gm_dynamic_of(const ElfW(Dyn) * d, uintptr_t bias)
{
	return (struct gm_dynamic){
		.rela = {gm_dynamic_at(d, bias, DT_RELA), gm_dynamic_at(d, bias, DT_JMPREL)},
		.nrela = {gm_dynamic_word(d, DT_RELASZ) / sizeof(ElfW(Rela)),
			  gm_dynamic_word(d, DT_PLTRELSZ) / sizeof(ElfW(Rela))},
		.symbols = gm_dynamic_at(d, bias, DT_SYMTAB),
		.names = gm_dynamic_at(d, bias, DT_STRTAB),
		.hash = gm_dynamic_at(d, bias, DT_HASH),
		.gnu = gm_dynamic_at(d, bias, DT_GNU_HASH),
	};
}

#endif
