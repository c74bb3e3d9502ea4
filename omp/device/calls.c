/*
 * calls.c - what a region of the program's own code calls of others: answered by the device's
 * own libraries, or here, where a device's answer is another one than a host's.
 */
#include "omp/device/module.h"
#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static unsigned device_number, device_count;
static struct {
	uint64_t begin, end, delta;
} libc_data;

void gmo_calls_device(unsigned device, unsigned ndevices)
{
	device_number = device;
	device_count = ndevices;
}

void gmo_calls_libc(uint64_t begin, uint64_t end, uint64_t delta)
{
	libc_data.begin = begin;
	libc_data.end = end;
	libc_data.delta = delta;
}

/* ---- OpenMP 5.1, 3.7 and OpenACC 3.1, 3.2.20, as on a device ---- */

/* What a target image calls finds them by their names, before libomp's (gmo_calls_first). */
#define ANSWER(name, value)                                                                        \
	static int answer_##name(void)                                                             \
	{                                                                                          \
		return value;                                                                      \
	}                                                                                          \
	__attribute__((visibility("default"), alias("answer_" #name))) int name(void);             \
	__attribute__((visibility("default"), alias("answer_" #name))) int name##_(void)
ANSWER(omp_is_initial_device, 0);
ANSWER(omp_get_device_num, (int)device_number);
ANSWER(omp_get_num_devices, (int)device_count);
ANSWER(omp_get_initial_device, (int)device_count); /* the number of the host */

void gmo_calls_first(void)
{
	Dl_info info;

	if (!dladdr((void *)(uintptr_t)gmo_calls_first, &info) ||
	    !dlopen(info.dli_fname, RTLD_NOW | RTLD_GLOBAL | RTLD_NOLOAD))
		gmo_warn("regions are told of no devices", dlerror());
}

/* acc_device_none 0, _default 1, _host 2, _not_host 4, _nvidia 5 (as which we are known) */
static int on_device(int type)
{
	return type == 4 || type == 5;
}

static int on_device_fortran(const int *type)
{
	return on_device(*type);
}

/* ---- the program's stdout and stderr are ours ---- */

static FILE *own(FILE *f)
{
	uint64_t at = (uint64_t)f;

	return at >= libc_data.begin && at < libc_data.end ? (FILE *)(at + libc_data.delta) : f;
}

static int own_fprintf(FILE *f, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	int n = vfprintf(own(f), format, ap);
	va_end(ap);
	return n;
}

static int own_fprintf_chk(FILE *f, int flag, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	int n = vfprintf(own(f), format, ap);
	va_end(ap);
	return n;
}

static int own_vfprintf(FILE *f, const char *format, va_list ap)
{
	return vfprintf(own(f), format, ap);
}

static int own_fputs(const char *s, FILE *f)
{
	return fputs(s, own(f));
}

static int own_fputc(int c, FILE *f)
{
	return fputc(c, own(f));
}

static size_t own_fwrite(const void *p, size_t size, size_t n, FILE *f)
{
	return fwrite(p, size, n, own(f));
}

static int own_fflush(FILE *f)
{
	return fflush(own(f));
}

static const struct {
	const char *name;
	void *fn;
} ours[] = {
	{"omp_is_initial_device", answer_omp_is_initial_device},
	{"omp_is_initial_device_", answer_omp_is_initial_device},
	{"omp_get_device_num", answer_omp_get_device_num},
	{"omp_get_device_num_", answer_omp_get_device_num},
	{"omp_get_num_devices", answer_omp_get_num_devices},
	{"omp_get_num_devices_", answer_omp_get_num_devices},
	{"omp_get_initial_device", answer_omp_get_initial_device},
	{"omp_get_initial_device_", answer_omp_get_initial_device},
	{"acc_on_device", on_device},
	{"acc_on_device_h_", on_device_fortran},
	{"fprintf", own_fprintf},
	{"__fprintf_chk", own_fprintf_chk},
	{"vfprintf", own_vfprintf},
	{"fputs", own_fputs},
	{"fputs_unlocked", own_fputs},
	{"fputc", own_fputc},
	{"putc", own_fputc},
	{"_IO_putc", own_fputc},
	{"fwrite", own_fwrite},
	{"fwrite_unlocked", own_fwrite},
	{"fflush", own_fflush},
};

void *gmo_calls_find(const char *name)
{
	for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
		if (!strcmp(ours[i].name, name))
			return ours[i].fn;
	return dlsym(RTLD_DEFAULT, name);
}
