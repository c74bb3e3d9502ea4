/* view_text.c - the report for people: a label, one number, and what it means. */
#include "tools/view.h"
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* ---- units: three significant digits ---- */

struct unit {
	double size;
	const char *name;
};
static const struct unit byte_units[] = {
	{1ull << 40, "TiB"}, {1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}};
static const struct unit time_units[] = {{1, "s"}, {1e-3, "ms"}, {1e-6, "us"}, {1e-9, "ns"}};

struct shown {
	char text[32];
};

static struct shown scaled(double v, const struct unit *u, size_t n, const char *smallest)
{
	struct shown s;

	/* 0.9995: what would be rounded up to 1000 of the next smaller unit */
	while (n > 1 && v < u->size * 0.9995)
		u++, n--;
	double x = v / u->size;
	if (v < u->size * 0.9995)
		snprintf(s.text, sizeof s.text, "%.0f %s", smallest ? v : x,
			 smallest ? smallest : u->name);
	else if (x == (double)(uint64_t)x && x < 1e9)
		snprintf(s.text, sizeof s.text, "%.0f %s", x, u->name);
	else
		snprintf(s.text, sizeof s.text, "%.*f %s",
			 x < 9.995   ? 2
			 : x < 99.95 ? 1
				     : 0,
			 x, u->name);
	return s;
}

static struct shown bytes(uint64_t v)
{
	return scaled((double)v, byte_units, GM_ARRAY_LEN(byte_units), "B");
}

static struct shown seconds(double v)
{
	return scaled(v, time_units, GM_ARRAY_LEN(time_units), NULL);
}

/* 1234567 -> 1,234,567 */
static struct shown print_count(uint64_t v)
{
	struct shown s;
	char plain[24];
	int n = snprintf(plain, sizeof plain, "%llu", (unsigned long long)v), at = 0;

	for (int i = 0; i < n; i++) {
		if (i && (n - i) % 3 == 0)
			s.text[at++] = ',';
		s.text[at++] = plain[i];
	}
	s.text[at] = 0;
	return s;
}

static struct shown percent(uint64_t part, uint64_t whole)
{
	struct shown s;
	double p = whole ? 100.0 * (double)part / (double)whole : 0;

	snprintf(s.text, sizeof s.text, "%.*f %%", p >= 10 || p == 0 ? 0 : p >= 0.1 ? 1 : 3, p);
	return s;
}

#define B(v)	   bytes(v).text
#define S(v)	   seconds(v).text
#define N(v)	   print_count(v).text
#define PART(p, w) percent(p, w).text

/* ---- lines ---- */

__attribute__((format(printf, 4, 5))) static void print_row(FILE *out, const char *label,
							    const char *value, const char *fmt, ...)
{
	va_list ap;

	fprintf(out, "  %-16s %11s", label, value);
	if (*fmt)
		fputs("   ", out);
	va_start(ap, fmt);
	vfprintf(out, fmt, ap);
	va_end(ap);
	fputc('\n', out);
}

static void head(const struct view *v, FILE *out)
{
	fprintf(out, "gmem: %s\n", *v->command ? v->command : v->program);
	if (*v->rank)
		fprintf(out, "  rank %s, pid %llu, ", v->rank, (unsigned long long)v->pid);
	else
		fprintf(out, "  pid %llu, ", (unsigned long long)v->pid);
	if (!strcmp(v->ended, "exit"))
		fputs("ended", out);
	else if (!strcmp(v->ended, "exec"))
		fputs("became another program (exec)", out);
	else if (!strcmp(v->ended, "signal"))
		fprintf(out, "killed by signal %llu (%s)", (unsigned long long)v->signal,
			strsignal((int)v->signal));
	else
		fputs("ended without a word (killed, or exit_group)", out);
	fprintf(out, " after %s\n", S(v->wall_s));
	for (unsigned i = 0; i < v->nkernels; i++)
		if (v->kernel[i].running)
			fprintf(out, "  was running %s on device %u, for %s\n", v->kernel[i].name,
				(unsigned)v->kernel[i].device, S(v->kernel[i].running_s));
	if (*v->limit)
		fprintf(out,
			"  --limit: that of %s was reached after %s; pages stayed home from then "
			"on\n",
			v->limit, S(v->limit_s));
	if (*v->left)
		fprintf(out, "  ran without GMEM after %s: it confined itself (%s)\n", S(v->left_s),
			v->left);
}

/* A sum that lacks a part is not printed as the whole. */
static void modelled(const struct view_dev *d, FILE *out)
{
	const struct {
		double s;
		const char *what;
	} parts[] = {
		{d->kernel_s, "kernels"},
		{d->bus_s, "over the bus"},
		{d->fault_s, "far faults"},
		{d->link_s, "transfers"},
		{d->cpu_bus_s, "the CPU over the bus"},
		{d->peer_s, "links between devices"},
	};
	const char *sep = "";

	if (d->unmodelled)
		print_row(out, "  modelled time", "not known",
			  "%s of %s launches compute, or reach over the bus, what nobody counted; "
			  "the rest:",
			  N(d->unmodelled), N(d->kernels + d->kernels_failed));
	else
		print_row(out, "  modelled time", S(d->modelled_s),
			  "what the modelled hardware would need; not measured%s%s",
			  strcmp(d->basis, "counted") && *d->basis ? "; " : "",
			  strcmp(d->basis, "counted") ? d->basis : "");
	if (d->kernel_s + d->bus_s + d->fault_s + d->link_s + d->cpu_bus_s + d->peer_s == 0)
		return;
	fprintf(out, "  %-30s", "");
	for (unsigned i = 0; i < GM_ARRAY_LEN(parts); i++)
		if (parts[i].s > 0) {
			fprintf(out, "%s%s %s", sep, parts[i].what, S(parts[i].s));
			sep = ", ";
		}
	fputc('\n', out);
}

/* The same launches in three ways. Where computing is not known, what can be compared is the
 * moving. */
static void bottom_line(const struct view_dev *d, FILE *out)
{
	const char *copies = isnan(d->copies_s) ? "not known" : S(d->copies_s);

	if (d->unmodelled)
		print_row(out, "  bottom line", "not known",
			  "moving data alone %s as it ran, %s with explicit copies", S(d->known_s),
			  copies);
	else
		print_row(out, "  bottom line", S(d->modelled_s),
			  "as it ran, %s with explicit copies", copies);
	fprintf(out, "  %-30scomputing on this machine's CPUs took %s (measured)\n", "",
		S(d->host_s));
	fprintf(out, "  %-30s%s\n", "", d->verdict);
}

/* What was mapped instead of moved; `used`: of it, by launches. */
static void print_in_place(FILE *out, const char *name, uint64_t mapped, const char *what,
			   uint64_t used)
{
	if (mapped)
		print_row(out, name, B(mapped), "%s%s%s", what,
			  used ? "; by launches, each page once: " : "", used ? B(used) : "");
}

static void print_peers(const struct view_dev *d, FILE *out)
{
	if (d->peer_bytes)
		print_row(out, "  from devices", B(d->peer_bytes), "over links to them");
	print_in_place(out, "  on devices", d->peer_mapped_bytes, "used where others have it",
		       d->peer_used_bytes);
}

static void print_device(const struct view_dev *d, FILE *out)
{
	fprintf(out, "  device %s, %s memory%s, %s pages\n", d->name,
		d->mem_bytes ? B(d->mem_bytes) : "no", d->mem_bytes ? "" : " of its own",
		B(d->page_bytes));
	print_row(out, "  kernels", N(d->kernels), "%s", "");
	if (d->kernels_failed)
		print_row(out, "  kernels failed", N(d->kernels_failed), "%s", "");
	print_row(out, "  page faults", N(d->faults), "%s", "");
	modelled(d, out);
	if (d->mem_bytes)
		print_row(out, "  resident", B(d->resident_peak_bytes),
			  "at the peak, %s of its memory",
			  PART(d->resident_peak_bytes, d->mem_bytes));
	if (d->evicted_bytes)
		print_row(out, "  evicted", B(d->evicted_bytes), "sent home to make room%s%s",
			  d->given_bytes ? "; for other processes: " : "",
			  d->given_bytes ? B(d->given_bytes) : "");
	print_in_place(out, "  remote", d->remote_bytes, "used over the bus instead of moved",
		       d->bus_bytes);
	print_peers(d, out);
	if (d->kernels && *d->verdict)
		bottom_line(d, out);
	if (d->restarts)
		print_row(out, "  restarts", N(d->restarts), "its process was lost");
}

static void print_moved(const struct view *v, FILE *out)
{
	print_row(out, "moved to device", B(v->h2d_bytes),
		  "%s pages of 4 KiB, %s of them prefetched", N(v->h2d_pages),
		  PART(v->prefetched_pages, v->h2d_pages + v->zeroed_pages));
	if (v->zeroed_pages)
		print_row(out, "given as zeros", B(v->zeroed_pages * 4096),
			  "%s pages never written, nothing copied", N(v->zeroed_pages));
	if (v->counted_pages)
		print_row(out, "moved by use", B(v->counted_pages * 4096),
			  "%s pages, used often over the bus", N(v->counted_pages));
	print_row(out, "moved home", B(v->d2h_bytes), "%s pages", N(v->d2h_pages));
	if (v->peer_bytes)
		print_row(out, "between devices", B(v->peer_bytes), "not over the bus");
	if (v->cpu_faults)
		print_row(out, "CPU page faults", N(v->cpu_faults), "p50 %s, p99 %s",
			  S((double)v->p50_ns / 1e9), S((double)v->p99_ns / 1e9));
	else
		print_row(out, "CPU page faults", "0", "%s", "");
	if (v->thrash_leaves)
		print_row(out, "thrashing", B(v->thrash_leaves * 65536),
			  "came back three times within a second; %s faults throttled, %s pins",
			  N(v->thrash_throttled), N(v->thrash_pins));
}

#define ROWS_SHOWN 8

/* A head, if there are rows, the first of them, and how many are left. */
static void print_list(const struct view *v, FILE *out, const char *head, unsigned n,
		       void (*print)(const struct view *v, unsigned i, FILE *out), const char *of)
{
	if (n)
		fputs(head, out);
	for (unsigned i = 0; i < n && i < ROWS_SHOWN; i++)
		print(v, i, out);
	if (n > ROWS_SHOWN)
		fprintf(out, "    and %u more%s\n", n - ROWS_SHOWN, of);
}

static void print_kernel(const struct view *v, unsigned i, FILE *out)
{
	const struct view_kernel *k = &v->kernel[i];
	bool sampled = !strncmp(k->basis, "sampled", 7);

	fprintf(out, "    %2u %9s %10s %10s %9s %10s  %s%s%s%s%s\n", (unsigned)k->device,
		N(k->launches + k->failed), S(k->wall_s),
		isnan(k->modelled_s) ? "not known" : S(k->modelled_s), N(k->faults),
		B(k->h2d_bytes), k->name, k->failed ? " (some failed)" : "", sampled ? " (" : "",
		sampled ? k->basis : "", sampled ? ")" : "");
}

static void print_refused(const struct view *v, unsigned i, FILE *out)
{
	fprintf(out, "  on the host ran %s: %s\n", v->refused[i].name, v->refused[i].why);
}

static void print_object(const struct view *v, unsigned i, FILE *out)
{
	fprintf(out, "    %10s %9s  %s\n", B(v->object[i].bus_bytes), N(v->object[i].device_faults),
		v->object[i].name);
}

static void print_site(const struct view *v, unsigned i, FILE *out)
{
	const struct view_site *s = &v->site[i];

	fprintf(out, "    %10s %10s %9s %9s  %s\n", B(s->h2d_bytes), B(s->d2h_bytes),
		N(s->device_faults), N(s->cpu_faults), s->where);
}

void view_text(const struct view *v, FILE *out)
{
	head(v, out);
	for (unsigned d = 0; d < v->ndev; d++)
		print_device(&v->dev[d], out);
	if (v->ndev)
		print_moved(v, out);
	if (!v->ndev || *v->idle)
		fprintf(out, "  %s%s%s\n",
			v->ndev ? "nothing ran on a device" : "no device was used",
			*v->idle ? ": " : "", v->idle);
	print_list(
		v, out,
		"  kernels (device, launches, time measured, modelled, faults, moved to the device "
		"by these)\n",
		v->nkernels, print_kernel, "");
	print_list(v, out, "", v->nrefused, print_refused, " regions");
	print_list(
		v, out,
		"  moved, by who asked for the memory (to device, home, faults of the device, of "
		"the CPU)\n",
		v->nsites, print_site, "");
	print_list(
		v, out,
		"  over the bus from outside the window (launches that were looked at; faults of "
		"the device)\n",
		v->nobjects, print_object, "");
	print_row(out, "managed memory", B(v->managed_peak_bytes), "at the peak; metadata %s (%s)",
		  B(v->metadata_bytes), PART(v->metadata_bytes, v->managed_peak_bytes));
	if (v->blas_calls)
		print_row(out, "BLAS-3 calls", N(v->blas_calls), "%s on the device, %s on the host",
			  N(v->blas_device), N(v->blas_host));
	if (v->syscalls_pinned || v->syscalls_dispatched)
		print_row(out, "system calls", N(v->syscalls_dispatched),
			  "looked at; %s of all pinned their buffers", N(v->syscalls_pinned));
	if (v->forks_copied_bytes)
		print_row(out, "copied for forks", B(v->forks_copied_bytes), "%s forks",
			  N(v->forks));
	if (v->trace_events || v->trace_lost)
		print_row(out, "trace", N(v->trace_events), "events; %s lost", N(v->trace_lost));
	if (v->chaos_reads || v->chaos_places)
		print_row(out, "chaos", N(v->chaos_reads + v->chaos_writes + v->chaos_places),
			  "%s reads, %s writes, %s changes of place; %s refused", N(v->chaos_reads),
			  N(v->chaos_writes), N(v->chaos_places), N(v->chaos_refused));
}

static uint64_t a_second(uint64_t now, uint64_t before, double s)
{
	return s > 0 && now > before ? (uint64_t)((double)(now - before) / s) : 0;
}

void view_progress(const struct view *v, const struct view *before, double s, uint64_t resident,
		   FILE *out)
{
	uint64_t kernels = 0, faults = 0, faulted = 0, mem = 0;

	for (unsigned d = 0; d < v->ndev; d++) {
		kernels += v->dev[d].kernels;
		faults += v->dev[d].faults;
		faulted += d < before->ndev ? before->dev[d].faults : 0;
		mem += v->dev[d].mem_bytes;
	}
	fprintf(out, "gmem: %s", S(v->wall_s));
	if (!v->ndev) {
		fputs(", no device used yet", out);
		return;
	}
	fprintf(out, ", %s kernels", N(kernels));
	fprintf(out, ", %s of ", B(resident));
	fprintf(out, "%s, faults %s/s", B(mem), N(a_second(faults, faulted, s)));
	fprintf(out, ", to devices %s/s", B(a_second(v->h2d_bytes, before->h2d_bytes, s)));
	fprintf(out, ", home %s/s", B(a_second(v->d2h_bytes, before->d2h_bytes, s)));
}
