/*
 * loaded.h - a target image as a shared object of this process: the device's, or the program's
 * own when no device can load it. Linked into the kernel module and the plug-ins.
 */
#ifndef GM_OMP_LOADED_H
#define GM_OMP_LOADED_H

#include <stddef.h>
#include <stdint.h>

/*
 * dlopen of a copy of the file's n bytes, which may lie in the window. NULL: *why says it. Else
 * *why is what the image lacks, if anything: who calls that ends the process.
 */
void *gmo_open_image(const char *bytes, size_t n, const char **why);
/*
 * The address of what is called so. `table`: where the image's own table of so many entries lies,
 * relative to its base. What the table lacks may still be among its symbols: clang 14 leaves the
 * pointers to global variables (unified_shared_memory) out of it. NULL: it is not there.
 */
void *gmo_find_entry(void *handle, uint64_t table, uint64_t entries, const char *name);
/* Calls fn with n integer arguments. */
uint64_t gmo_call(void (*fn)(void), const uint64_t *args, uint64_t n);

#endif
