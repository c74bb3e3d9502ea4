/*
 * outside_object.c - what memory outside the windows is called in the report.
 *
 * Of what is shared the kernel knows the name. Private memory loses its own when it is adopted, so
 * that is looked up before. Which module a page belongs to is read from the ELF header that is
 * mapped in front of it: ld.so's lists would need its lock, and lie on the heap.
 */
#include "core/count/stats.h"
#include "core/entry/outside.h"
#include "core/sys/rangemap.h"
#include "core/sys/text.h"
#include <elf.h>

#define ADDRESSES  ((uint64_t)1 << 47)
#define NAME_BYTES sizeof gmi_stats->object[0].name
#define IMAGE_MAX  ((uint64_t)1 << 30) /* so far in front of a page its module is looked for */
#define PHDRS_MAX  32

/* What was adopted, by name: v[0] is the row. It stays when memory is restored; only asked for what
 * is the store's. */
static struct {
	struct gm_lock lock;
	bool is_made;
	struct gm_rangemap rows;
} names;

/* ---- whose globals ---- */

struct image {
	uint64_t base;
	char path[sizeof((struct gm_vma *)0)->name];
};

static long note_file_start(const struct gm_vma *vma, void *arg)
{
	struct image *im = arg;

	if (vma->ino && !vma->off && !vma->shared) {
		im->base = vma->lo;
		gm_copy(im->path, vma->name, sizeof im->path);
	}
	return 0;
}

/* Does the module that is mapped from `base` on reach to va? */
static bool image_holds(uint64_t base, uint64_t va)
{
	Elf64_Phdr phdr[PHDRS_MAX];
	Elf64_Ehdr head;
	uint64_t lo = UINT64_MAX, hi = 0;

	if (!gmi_read_own(&head, base, sizeof head) || head.e_ident[0] != ELFMAG0 ||
	    head.e_ident[1] != ELFMAG1 || head.e_phentsize != sizeof phdr[0] ||
	    head.e_phnum > PHDRS_MAX || !head.e_phnum ||
	    !gmi_read_own(phdr, base + head.e_phoff, head.e_phnum * sizeof phdr[0]))
		return false;
	for (unsigned i = 0; i < head.e_phnum; i++) {
		if (phdr[i].p_type != PT_LOAD)
			continue;
		lo = gm_min(lo, gm_align_down(phdr[i].p_vaddr, GM_PAGE_BYTES));
		hi = gm_max(hi, gm_align_up(phdr[i].p_vaddr + phdr[i].p_memsz, GM_PAGE_BYTES));
	}
	return lo < hi && va - base < hi - lo;
}

static const char *after_slash(const char *path)
{
	const char *last = path;

	for (const char *c = path; *c; c++)
		if (*c == '/')
			last = c + 1;
	return last;
}

/* "globals of NAME"; false: va lies in no module. */
static bool name_globals(uint64_t va, char *name)
{
	struct image im = {0};

	gmi_vma_each(va > IMAGE_MAX ? va - IMAGE_MAX : 0, va + 1, note_file_start, &im);
	if (!im.base || !image_holds(im.base, va))
		return false;
	gmi_snprintf(name, NAME_BYTES, "globals of %s", after_slash(im.path));
	return true;
}

/* ---- names ---- */

static void name_it(uint64_t va, const struct gm_vma *vma, char *name)
{
	static const struct {
		const char *kernels, *ours;
	} known[] = {{"[stack]", "stack of main"},
		     {"[heap]", "the break"},
		     {"/SYSV", "System V shared memory"},
		     {"/dev/zero", "shared anonymous memory"}};

	if (!vma->shared && name_globals(va, name))
		return;
	for (unsigned i = 0; i < GM_ARRAY_LEN(known); i++)
		if (gm_text_after(vma->name, known[i].kernels)) {
			gmi_snprintf(name, NAME_BYTES, "%s", known[i].ours);
			return;
		}
	gmi_snprintf(name, NAME_BYTES, "%s",
		     vma->name[0] ? vma->name : "private anonymous memory, stacks of threads");
}

void gmc_outside_name_adopted(uint64_t lo, uint64_t hi, const struct gm_vma *vma)
{
	char name[NAME_BYTES];

	name_it(lo, vma, name);
	const struct gm_range_value v = {{gmi_object_row(name)}};
	gm_sigmask mask = gm_lock_masked(&names.lock);
	if (!names.is_made)
		gmi_rangemap_init(&names.rows, GM_PAGE_BYTES, ADDRESSES);
	names.is_made = true;
	gmi_rangemap_assign(&names.rows, lo, hi, &v); /* else it has none */
	gm_unlock_masked(&names.lock, mask);
}

void gmc_outside_forget_names(void)
{
	if (names.is_made)
		gmi_rangemap_destroy(&names.rows);
	names.is_made = false;
	atomic_store(&names.lock.v, 0);
}

static unsigned adopted_row(uint64_t va, uint64_t *end)
{
	struct gm_range r = {0};

	gm_sigmask mask = gm_lock_masked(&names.lock);
	bool found = names.is_made && gmi_rangemap_find(&names.rows, va, &r);
	gm_unlock_masked(&names.lock, mask);
	if (found)
		*end = gm_min(*end, r.end);
	else
		*end = va + GM_PAGE_BYTES;
	return found ? (unsigned)r.val.v[0] : 0;
}

unsigned gmi_outside_object(uint64_t va, uint64_t *end)
{
	char name[NAME_BYTES];
	struct gm_vma vma;

	*end = va + GM_PAGE_BYTES;
	if (gmi_vma_find(va, &vma))
		return 0; /* gone since */
	*end = vma.hi;
	if (gmc_outside_store(vma.dev, vma.ino) >= 0)
		return adopted_row(va, end);
	name_it(va, &vma, name);
	return gmi_object_row(name);
}
