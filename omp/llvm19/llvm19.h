/*
 * llvm19.h - inside our libomptarget.so.19.1, which stands before LLVM's own of that name.
 *
 * LLVM 19 has its plug-in for x86_64 linked in: nothing is opened that could be ours. So programs
 * find this library first (LD_LIBRARY_PATH); it loads LLVM's, hands every call on to it, and
 *	entries	 learns from the calls which device a thread works for, with which arguments,
 *		 and which images there are; LLVM's always counts 4 devices, the program is
 *		 told of those that the user wants
 *	got	 is asked instead of libc and LLVM's loader when that plug-in loads an image, looks
 *		 for a region or a variable, allocates and copies: five imports of that library
 *	forward	 everything else
 */
#ifndef GM_OMP_LLVM19_H
#define GM_OMP_LLVM19_H

#include "omp/llvm/image.h"

#define GMO_THUNKS  1024
#define GMO_DEVICES 4 /* that its plug-in has: more cannot be reached */

struct gmo_kernel_args { /* KernelArgsTy 3, as far as it is looked at */
	uint32_t version, nargs;
	void **bases, **pointers;
	int64_t *sizes, *types;
};

/* What this thread does for the program just now. */
struct gmo_now {
	int depth; /* of calls; 0: nothing */
	int32_t device;
	uint32_t nargs; /* of the region */
};
extern __thread struct gmo_now gmo_now;

/* ---- entries.c ---- */
/* Are there devices, and is LLVM's library one that we know? */
bool gmo_llvm19_works(void);

/* ---- got.c ---- */
/* Redirects the imports of the library, which is mapped at `base`. false: it has others than
 * expected, and is as it was. own(name): what a name that both have is to be for it. */
struct link_map;
bool gmo_got_redirect(struct link_map *library, void *(*own)(const char *name));
/* An image of the program, out of its wrapping, with the entries of its table. */
void gmo_image_known(const struct gmo_tgt_image *image, const struct gmo_tgt_entry *begin,
		     const struct gmo_tgt_entry *end);

/* ---- forward_x86_64.S ---- */
extern const char gmo_forward_names[];
extern void *gmo_forwards[];
extern char gmo_thunks[][16];
/* got.c; called by them */
void gmo_thunk_launch(uint64_t number, const uint64_t *registers, const uint64_t *stack);

#endif
