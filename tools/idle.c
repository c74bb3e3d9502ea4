/*
 * idle.c - why nothing ran on a device, and what to do: one line, from what the program had
 * loaded, what its own files call, what was counted, and the environment it was started with.
 *
 * The reporter looks at the program's mappings twice: when it begins to follow it (all that it
 * is linked with is there, its constructors are about to run) and, when it ends by itself, while
 * it waits for the report. So what a program that is killed had loaded later is not known.
 */
#include "tools/idle.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum library { LLVM, LLVM_OURS, GOMP, GOMP_OURS, OMP, BLAS, GPU, OURS, NONE };
static const struct {
	const char *begins;
	enum library is;
	const char *what; /* GPU: whose */
} libraries[] = {
	{"libomptarget.rtl.x86_64.", LLVM_OURS, NULL}, /* or LLVM's own */
	{"libomptarget.so", LLVM, NULL},
	{"libgomp-plugin-nvptx.so", GOMP_OURS, NULL}, /* or gcc's own */
	{"libgomp.so", GOMP, NULL},
	{"libomp.so", OMP, NULL},
	{"libiomp5.so", OMP, NULL},
	{"libopenblas", BLAS, NULL},
	{"libblas.so", BLAS, NULL},
	{"libcblas", BLAS, NULL},
	{"libmkl_", BLAS, NULL},
	{"libflexiblas", BLAS, NULL},
	{"libblis", BLAS, NULL},
	{"libcudart.so", GPU, "CUDA"},
	{"libcuda.so", GPU, "CUDA"},
	{"libamdhip64.so", GPU, "HIP"},
	{"libhsa-runtime64.so", GPU, "ROCm"},
	{"libOpenCL.so", GPU, "OpenCL"},
	{"libze_loader.so", GPU, "Level Zero"},
	{"libsycl.so", GPU, "SYCL"},
	{"libgmem", OURS, NULL},
	{"gmem-", OURS, NULL},
};

/* What the program's own files call. */
enum call { TGT, GOMP_TARGET, GOACC, GOMP_LOOP, KMPC_LOOP, CALLS };
static const char *const calls[] = {
	[TGT] = "__tgt_",
	[GOMP_TARGET] = "GOMP_target",
	[GOACC] = "GOACC_",
	[GOMP_LOOP] = "GOMP_parallel",
	[KMPC_LOOP] = "__kmpc_fork_call",
};
static const char known_llvm[] = "13 to 16, and 19";

struct evidence {
	const struct idle *look;
	char name[NONE][64]; /* the file of that kind that is loaded; "": none */
	const char *gpu;
	unsigned calls;
	struct view *v;
};

/* ---- looking ---- */

/* All of a file of /proc, with a final NUL. Allocated; NULL: not to be read. */
static char *read_all(int pid, const char *name, size_t *bytes)
{
	char path[64], *text = NULL, *longer;
	size_t room = 0;
	ssize_t n = 1;

	*bytes = 0;
	snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	while (n > 0) {
		if (room < *bytes + 4096) {
			room = room ? 2 * room : 65536;
			longer = realloc(text, room);
			if (!longer)
				break;
			text = longer;
		}
		n = read(fd, text + *bytes, room - *bytes - 1);
		*bytes += n > 0 ? (size_t)n : 0;
	}
	close(fd);
	if (text)
		text[*bytes] = 0;
	return text;
}

void idle_look(struct idle *i, int pid)
{
	size_t bytes;
	char *maps = read_all(pid, "maps", &bytes);

	if (!maps || !*maps) { /* gone: what was seen first counts */
		free(maps);
		return;
	}
	free(i->maps);
	i->maps = maps;
	if (!i->environment)
		i->environment = read_all(pid, "environ", &i->environment_bytes);
}

static const char *variable(const struct evidence *e, const char *name)
{
	const char *at = e->look->environment, *end = at + e->look->environment_bytes;
	size_t n = strlen(name);

	for (; at && at < end; at += strlen(at) + 1)
		if (!strncmp(at, name, n) && at[n] == '=')
			return at + n + 1;
	return "";
}

/* Ours have the device's module beside them. */
static bool is_our_plugin(const char *path)
{
	char module[4096];

	snprintf(module, sizeof module, "%.*sgmem-omp-device.so",
		 (int)(strrchr(path, '/') + 1 - path), path);
	return access(module, R_OK) == 0;
}

static void note_file(struct evidence *e, const char *path)
{
	const char *name = strrchr(path, '/') + 1;

	for (unsigned i = 0; i < GM_ARRAY_LEN(libraries); i++) {
		enum library is = libraries[i].is;
		if (strncmp(name, libraries[i].begins, strlen(libraries[i].begins)) != 0)
			continue;
		if (is == LLVM && is_our_plugin(path)) /* 19: of the same name */
			is = LLVM_OURS;
		else if ((is == LLVM_OURS || is == GOMP_OURS) && !is_our_plugin(path))
			return;
		if (is == GPU && !*e->name[GPU])
			e->gpu = libraries[i].what;
		if (!*e->name[is])
			snprintf(e->name[is], sizeof e->name[is], "%s", name);
		if (is != BLAS) /* it may have loops of its own */
			return;
	}
	e->calls |= names_in(path, calls, CALLS);
}

/* Each file once: the mappings of one lie together. */
static void note_files(struct evidence *e)
{
	char last[4096] = "", *line, *rest = e->look->maps;

	while ((line = strsep(&rest, "\n"))) {
		const char *path = strchr(line, '/');
		if (!path || !strcmp(path, last) || !strncmp(path, "/dev/", 5) ||
		    !strncmp(path, "/memfd:", 7))
			continue;
		snprintf(last, sizeof last, "%s", path);
		note_file(e, path);
	}
}

/* ---- reasons, from the one that forbids most to the one that knows least ---- */

__attribute__((format(printf, 2, 3))) static bool because(const struct evidence *e, const char *fmt,
							  ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(e->v->idle, sizeof e->v->idle, fmt, ap);
	va_end(ap);
	return true;
}

static bool no_device(const struct evidence *e)
{
	return !strcmp(variable(e, "GMEM_DEVICE"), "none") &&
	       because(e, "--device none; name one, as --device pcie4-gpu");
}

static bool regions_off(const struct evidence *e)
{
	const char *offload = variable(e, "OMP_TARGET_OFFLOAD"),
		   *acc = variable(e, "ACC_DEVICE_TYPE");

	if (e->calls & (1 << TGT | 1 << GOMP_TARGET) && !strcasecmp(offload, "disabled"))
		return because(e,
			       "OMP_TARGET_OFFLOAD=%s keeps target regions on the host; unset "
			       "it",
			       offload);
	return e->calls & 1 << GOACC && !strcasecmp(acc, "host") &&
	       because(e, "ACC_DEVICE_TYPE=%s keeps OpenACC regions on the host; unset it", acc);
}

/* libomptarget.so.N...; without a number up to 14, and from then on it has one */
static bool is_known_llvm(const char *name)
{
	const char *number = strstr(name, ".so.");
	long n = number ? strtol(number + 4, NULL, 10) : 13;

	return (n >= 13 && n <= 16) || n == 19;
}

static bool llvm_regions(const struct evidence *e)
{
	const char *name = e->name[LLVM];

	if (!(e->calls & 1 << TGT) || !*name)
		return false;
	if (!is_known_llvm(name))
		return because(e,
			       "its target regions ran on the host, as %s is of a version that "
			       "gmem does not know (it knows %s); compile with one of these",
			       name, known_llvm);
	if (!*e->name[LLVM_OURS])
		return because(e,
			       "%s did not find gmem's plug-in; start the program with "
			       "run-with-gmem.sh",
			       name);
	return because(e,
		       "no target region came to gmem's plug-in for %s; they must be compiled with "
		       "-fopenmp-targets=x86_64-pc-linux-gnu, and be reached",
		       name);
}

/* libgomp opens plug-ins when the first region, or question for a device, is reached. */
static bool gcc_regions(const struct evidence *e)
{
	const char *what = e->calls & 1 << GOACC ? "OpenACC" : "target";
	const char *path = variable(e, "LD_LIBRARY_PATH");

	if (!(e->calls & (1 << GOMP_TARGET | 1 << GOACC)) || !*e->name[GOMP])
		return false;
	if (*e->name[GOMP_OURS])
		return because(e,
			       "%s found gmem's device, but none of the program's %s regions "
			       "came to it; they must be reached, without if(0)",
			       e->name[GOMP], what);
	if (!strstr(path, "/omp"))
		return because(e,
			       "%s has no way to gmem's plug-in; start the program with "
			       "run-with-gmem.sh",
			       e->name[GOMP]);
	return because(e, "none of the program's %s regions (%s) was reached", what, e->name[GOMP]);
}

static bool blas_calls(const struct evidence *e, const struct gm_stats *s)
{
	uint64_t n, most = 0;
	unsigned why = 0;

	for (unsigned i = 0; i < GM_BLAS_WHYS; i++)
		if ((n = atomic_load(&s->blas_why[i])) > most) {
			most = n;
			why = i;
		}
	return most && because(e, "%llu of %llu BLAS-3 calls stayed on the host: %s; %s",
			       (unsigned long long)most, (unsigned long long)e->v->blas_calls,
			       gmi_blas_why(why)->why, gmi_blas_why(why)->advice);
}

/* Regions for the CPU. */
static bool parallel_regions(const struct evidence *e)
{
	const char *offload = variable(e, "GMEM_OFFLOAD");
	const char *runtime = e->calls & 1 << GOMP_LOOP && *e->name[GOMP]  ? e->name[GOMP]
			      : e->calls & 1 << KMPC_LOOP && *e->name[OMP] ? e->name[OMP]
									   : NULL;

	if (e->v->nrefused)
		return because(e, "its parallel region %s stayed on the host: %s",
			       e->v->refused[0].name, e->v->refused[0].why);
	if (runtime && !strstr(offload, "openmp"))
		return because(
			e,
			"its OpenMP regions (%s) are for the CPU; --offload openmp runs them "
			"on the device",
			runtime);
	return runtime && because(e,
				  "none of its OpenMP regions (%s) that --offload %s names was "
				  "reached",
				  runtime, offload);
}

static bool others(const struct evidence *e)
{
	if (*e->name[GPU])
		return because(e,
			       "it has loaded %s, and kernels of %s do not run here; served are "
			       "OpenMP target, OpenACC and BLAS-3",
			       e->name[GPU], e->gpu);
	if (parallel_regions(e))
		return true;
	if (*e->name[BLAS])
		return because(e,
			       "%s is loaded, but no BLAS-3 call was seen; those that are looked "
			       "up by dlsym in the library's own handle are not",
			       e->name[BLAS]);
	return false;
}

void idle_explain(struct idle *i, const struct gm_stats *s, struct view *v)
{
	struct evidence e = {.look = i, .v = v};
	uint64_t launches = 0;

	for (unsigned d = 0; d < v->ndev; d++)
		launches += v->dev[d].kernels + v->dev[d].kernels_failed;
	if (!launches && i->maps) {
		note_files(&e);
		/* who has devices and launches nothing by his own hand needs no advice */
		if (!no_device(&e) && !regions_off(&e) && !llvm_regions(&e) && !gcc_regions(&e) &&
		    !blas_calls(&e, s) && !others(&e) && !v->ndev)
			because(&e, "it has loaded none of what is served (OpenMP target, OpenACC, "
				    "BLAS-3)");
	}
	free(i->maps);
	free(i->environment);
	*i = (struct idle){0};
}
