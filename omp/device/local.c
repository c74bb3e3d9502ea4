/*
 * local.c - the program's thread-local variables, in regions that are its own code.
 *
 * Code addresses them relative to the thread pointer, by offsets that the program's loader has
 * chosen once. Threads of this process have room for them at the same offsets (dev_region.h:
 * pad), filled in when a thread is made. Who starts a region stands for a thread of the program:
 * it has that thread's values, and gives them back.
 */
#include "omp/device/module.h"
#include <stdlib.h>
#include <string.h>

static struct gmo_local locals[GMO_LOCALS];
static uint32_t nlocals, once;

struct tls_index { /* as the compiler has it: what __tls_get_addr is given */
	uint64_t module, offset;
};

/* The end of the pad is the thread pointer. */
static char *thread_pointer(void)
{
	uint64_t bytes;
	char *pad = dev_region_pad(&bytes);

	return pad + bytes;
}

static void fill_in(void)
{
	for (uint32_t i = 0; i < nlocals; i++) {
		char *at = thread_pointer() - locals[i].offset;
		memcpy(at, (const void *)locals[i].image, locals[i].filled);
		memset(at + locals[i].filled, 0, locals[i].bytes - locals[i].filled);
	}
}

bool gmo_local_begin(const struct gmo_program *a)
{
	uint64_t room = 0;

	if ((!a->nlocals && !a->once) || nlocals || once)
		return true;
	if (!dev_region_pad(&room) || a->once > room)
		return false;
	once = a->once;
	for (uint32_t i = 0; i < a->nlocals; i++)
		if (a->locals[i].offset > room || a->locals[i].bytes > a->locals[i].offset)
			return false;
	for (uint32_t i = 0; i < a->nlocals; i++) {
		locals[i] = a->locals[i];
		void *image = malloc(locals[i].filled + 1);
		if (!image)
			return false;
		locals[i].image =
			(uint64_t)memcpy(image, (const void *)a->locals[i].image, locals[i].filled);
	}
	nlocals = a->nlocals;
	dev_region_on_thread(fill_in);
	return true;
}

void gmo_local_take(uint64_t program_thread)
{
	for (uint32_t i = 0; i < nlocals; i++)
		memcpy(thread_pointer() - locals[i].offset,
		       (const void *)(program_thread - locals[i].offset), locals[i].bytes);
}

/* Only where they differ: the rest may be memory that the program has write-protected. */
void gmo_local_give(uint64_t program_thread)
{
	for (uint32_t i = 0; i < nlocals; i++) {
		const char *mine = thread_pointer() - locals[i].offset;
		char *its = (char *)program_thread - locals[i].offset;
		if (memcmp(its, mine, locals[i].bytes))
			memcpy(its, mine, locals[i].bytes);
	}
}

void gmo_local_once(void)
{
	(*(void (**)(void))(thread_pointer() - once))();
}

void *gmo_local_address(const void *index)
{
	const struct tls_index *t = index;

	for (uint32_t i = 0; i < nlocals; i++)
		if (locals[i].module == t->module)
			return thread_pointer() - locals[i].offset + t->offset;
	gmo_warn("a region uses a thread-local variable of a library", "which was loaded later");
	__builtin_trap();
}
