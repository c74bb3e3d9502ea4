/* sites.c - finds the system calls of a module. See sites.h. */
#include "preload/dispatch/sites.h"

#include <elf.h>
#include <string.h>

#include "core/sys/sys.h"
#include "preload/dispatch/insn.h"
#include "preload/syscalls/syscall_table.h"

#define SYSCALL_BYTES  2
#define MOV_EAX	       0xb8 /* and four bytes: the number of the call */
#define JUMP_BYTES     5
#define SHORT_BYTES    2
#define FUNCTION_BYTES (256 << 10) /* larger ones are left */
#define LINE_MAX       30	   /* bytes between a site and its call */
#define LINE_INSNS     6
#define PAD_REACH      120 /* of a short jump */

static const uint8_t syscall_insn[SYSCALL_BYTES] = {0x0f, 0x05};

/* ---- functions ---- */

struct function {
	uintptr_t lo, hi, next; /* next: where another one begins */
};

struct header { /* .eh_frame_hdr */
	uint8_t version, frame_enc, count_enc, table_enc;
	int32_t frame;
	uint32_t n;
	int32_t table[][2]; /* sorted: start, its entry; from the header's address */
};
#define COUNT_UDATA4 3
#define TABLE_SDATA4 0x3b

static const struct header *header_of(const void *at)
{
	const struct header *h = at;

	return h && h->version == 1 && h->count_enc == COUNT_UDATA4 &&
			       h->table_enc == TABLE_SDATA4 && h->n
		       ? h
		       : NULL;
}

static int32_t word_at(const uint8_t *p)
{
	int32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* Addresses relative to where they stand, as compilers write them; and no signal frame, whose
 * entry begins a byte early. */
static bool is_ordinary(const uint8_t *entry)
{
	static const char *const known[] = {"zR", "zPLR", "zPR"};
	const char *how = (const char *)(entry + 4 - word_at(entry + 4) + 9);

	for (unsigned i = 0; i < GM_ARRAY_LEN(known); i++)
		if (!strcmp(how, known[i]))
			return true;
	return false;
}

static bool function_at(const struct header *h, uintptr_t pc, struct function *f)
{
	uint32_t a = 0, b = h->n;

	while (b - a > 1) {
		uint32_t mid = a + (b - a) / 2;
		if ((uintptr_t)h + (uintptr_t)h->table[mid][0] <= pc)
			a = mid;
		else
			b = mid;
	}
	const uint8_t *entry = (const uint8_t *)h + h->table[a][1];
	f->lo = (uintptr_t)h + (uintptr_t)h->table[a][0];
	f->hi = f->lo + (uint32_t)word_at(entry + 12);
	f->next = a + 1 < h->n ? (uintptr_t)h + (uintptr_t)h->table[a + 1][0] : f->hi;
	return is_ordinary(entry) &&
	       f->lo == (uintptr_t)entry + 8 + (uintptr_t)word_at(entry + 8) && pc >= f->lo &&
	       pc < f->hi;
}

/* ---- one function's instructions ---- */

enum { STARTS = 1, TARGET = 2 };

struct scan {
	const struct gmp_text *text;
	const struct header *functions;
	struct gmp_site *sites;
	unsigned n, max;
	struct function f; /* that `marks` is of; lo 0: none */
	bool in_step;
	uint8_t marks[FUNCTION_BYTES];
};

static bool decode(const struct scan *s, uintptr_t at, struct gmp_insn *i)
{
	return gmp_insn_at((const uint8_t *)at, (const uint8_t *)s->text->hi, i);
}

static bool mark(struct scan *s)
{
	const size_t bytes = s->f.hi - s->f.lo;
	struct gmp_insn i;

	memset(s->marks, 0, bytes);
	for (size_t at = 0; at < bytes; at += i.bytes) {
		if (!decode(s, s->f.lo + at, &i) || at + i.bytes > bytes)
			return false;
		s->marks[at] |= STARTS;
		size_t to = at + i.bytes + (size_t)(intptr_t)i.distance;
		if (i.jumps && to < bytes)
			s->marks[to] |= TARGET;
	}
	for (size_t at = 0; at < bytes; at++)
		if (s->marks[at] == TARGET)
			return false;
	return true;
}

static bool enter_function(struct scan *s, uintptr_t pc)
{
	if (pc >= s->f.lo && pc < s->f.hi)
		return s->in_step;
	if (!function_at(s->functions, pc, &s->f)) {
		s->f = (struct function){0};
		return false;
	}
	return s->in_step = s->f.lo >= s->text->lo && s->f.hi <= s->text->hi &&
			    s->f.hi - s->f.lo <= FUNCTION_BYTES && mark(s);
}

/* ---- sites ---- */

static bool is_taken(const struct scan *s, uintptr_t pad)
{
	for (unsigned i = 0; i < s->n; i++)
		if (s->sites[i].pad == pad)
			return true;
	return false;
}

/* Is [p, hi) nothing but padding? */
static bool is_padding(const struct scan *s, uintptr_t p, uintptr_t hi)
{
	struct gmp_insn i;

	while (p < hi && decode(s, p, &i) && i.is_nop)
		p += i.bytes;
	return p == hi;
}

/* Room for a long jump between two functions, within reach of a short one. */
static uintptr_t find_pad(const struct scan *s, uintptr_t at)
{
	const uintptr_t lo = gm_max(at - PAD_REACH, s->text->lo + 1),
			hi = gm_min(at + PAD_REACH, s->text->hi - JUMP_BYTES);
	struct function f;

	for (uintptr_t p = lo; p < hi; p++)
		if (function_at(s->functions, p - 1, &f) && f.hi == p && f.next >= p + JUMP_BYTES &&
		    f.next <= p + 16 && is_padding(s, p, f.next) && !is_taken(s, p))
			return p;
	return 0;
}

/* The calls that are made from the program's own stack and frame, whatever is done about
 * registers: those sites are left as they are, also for who looks at the code (debuggers know a
 * signal's return by its bytes). */
static bool is_left(uintptr_t at, uintptr_t call)
{
	if (*(const uint8_t *)at != MOV_EAX)
		return false;
	const uint32_t nr = (uint32_t)word_at((const uint8_t *)at + 1);
	if (nr >= GMP_NSYSCALLS)
		return true;
	switch (gmp_syscalls[nr].special) {
	case GMP_CLONE:
	case GMP_CLONE3:
	case GMP_EXIT:
	case GMP_FORK:
	case GMP_SIGRETURN:
	case GMP_VFORK:
		return true;
	default:
		return false;
	}
}

struct choice {
	uintptr_t at;
	bool bypassed; /* something jumps in between, and is dispatched */
};

/* Back through the straight line that ends at the call. */
static void look_back(const struct scan *s, uintptr_t call, struct choice *lng, struct choice *shrt)
{
	const uint8_t *marks = s->marks;
	uintptr_t k = call;
	bool bypassed = marks[call - s->f.lo] & TARGET;
	struct gmp_insn i;

	for (int n = 0; n < LINE_INSNS && k > s->f.lo && !lng->at; n++) {
		uintptr_t prev = k - 1;
		while (prev > s->f.lo && !(marks[prev - s->f.lo] & STARTS))
			prev--;
		if (!decode(s, prev, &i) || i.stays || call - prev > LINE_MAX)
			return;
		if (i.bytes >= JUMP_BYTES)
			*lng = (struct choice){prev, bypassed};
		else if (i.bytes >= SHORT_BYTES && !shrt->at)
			*shrt = (struct choice){prev, bypassed};
		bypassed |= marks[prev - s->f.lo] & TARGET;
		k = prev;
	}
}

static void add_site(struct scan *s, uintptr_t call)
{
	struct choice lng = {0}, shrt = {0};
	struct gmp_site site = {.call = call};

	look_back(s, call, &lng, &shrt);
	if (lng.at && is_left(lng.at, call))
		return;
	if ((!lng.at || lng.bypassed) && shrt.at && (site.pad = find_pad(s, shrt.at)))
		site.at = shrt.at;
	else
		site.at = lng.at;
	/* what an earlier site has taken is no longer what was decoded */
	if (!site.at || (s->n && site.at <= s->sites[s->n - 1].at))
		return;
	s->sites[s->n++] = site;
}

unsigned gmp_sites_of(const struct gmp_text *text, struct gmp_site *to, unsigned max)
{
	const struct header *h = header_of(text->functions);
	struct scan *s = h ? gmi_alloc(sizeof(*s)) : NULL;

	if (!s)
		return 0;
	s->text = text;
	s->functions = h;
	s->sites = to;
	s->max = max;
	uintptr_t p = text->lo;
	while (s->n < max &&
	       (p = (uintptr_t)memmem((void *)p, text->hi - p, syscall_insn, SYSCALL_BYTES))) {
		if (enter_function(s, p) && (s->marks[p - s->f.lo] & STARTS))
			add_site(s, p);
		p += SYSCALL_BYTES;
	}
	unsigned n = s->n;
	gmi_free(s, sizeof(*s));
	return n;
}

/* ---- segments ---- */

unsigned gmp_texts_of(uintptr_t base, uintptr_t shift, struct gmp_text *to, unsigned max)
{
	const Elf64_Ehdr *e = (const Elf64_Ehdr *)base;
	const uint8_t *functions = NULL;
	unsigned n = 0;

	if (memcmp(e->e_ident, ELFMAG, SELFMAG) != 0 || e->e_phentsize != sizeof(Elf64_Phdr) ||
	    e->e_phoff + e->e_phnum * sizeof(Elf64_Phdr) > GM_PAGE_BYTES)
		return 0;
	const Elf64_Phdr *p = (const Elf64_Phdr *)(base + e->e_phoff);
	for (unsigned i = 0; i < e->e_phnum; i++)
		if (p[i].p_type == PT_GNU_EH_FRAME)
			functions = (const uint8_t *)(shift + p[i].p_vaddr);
	for (unsigned i = 0; i < e->e_phnum && n < max; i++) {
		const uintptr_t cut = p[i].p_vaddr % GM_PAGE_BYTES;
		if (p[i].p_type != PT_LOAD ||
		    (p[i].p_flags & (PF_R | PF_W | PF_X)) != (PF_R | PF_X))
			continue;
		to[n++] = (struct gmp_text){
			.lo = shift + p[i].p_vaddr - cut,
			.hi = gm_align_up(shift + p[i].p_vaddr + p[i].p_filesz, GM_PAGE_BYTES),
			.offset = p[i].p_offset - cut,
			.functions = functions};
	}
	return n;
}
