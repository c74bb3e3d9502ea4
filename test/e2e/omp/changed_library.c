/* For changed.c: memory of a library. (Not of the program's languages: it is compiled without OpenMP.) */
char library_data[4 * 4096] __attribute__((aligned(4096))) = {7};
