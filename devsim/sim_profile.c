/*
 * sim_profile.c - the devices that can be simulated, with the source of every figure, and the keys that
 * override them.
 *
 * Peak rates are of the vector units (what a BLAS without tensor cores can reach); 'c' and 'z' count real
 * operations.
 */
#include "sim_int.h"
#include <errno.h>

#define GIB ((uint64_t)1 << 30)
#define KIB 1024.0

#define PASCAL_LINK .link = {{4 * KIB, 1760}, {60 * KIB, 5560}, {1020 * KIB, 81800}}, .nlink = 3
/* A link known by latency and bandwidth (GB/s): two points are enough. */
#define LINE_LINK(latency_ns, gbs)                                                                           \
	.link = {{4 * KIB, (latency_ns) + 4 * KIB / (gbs)},                                                  \
		 {2048 * KIB, (latency_ns) + 2048 * KIB / (gbs)}},                                           \
	.nlink = 2
#define PEAK(single, dbl) .gflops = {(single), (dbl), (single), (dbl)}

static const struct profile {
	struct sim_model model;
	const char *source;
} profiles[] = {
	{{.name = "pascal-pcie3",
	  .mem_bytes = 11 * GIB,
	  .page_bytes = 65536,
	  .fault_ns = 45000,
	  .launch_ns = 5000,
	  PEAK(11340, 354),
	  .mem_bw = 484,
	  PASCAL_LINK},
	 "GTX 1080 Ti as in Ganguly et al., ISCA'19: 45 us a far fault, measured PCIe 3 transfer times"},
	{{.name = "pcie3-gpu",
	  .mem_bytes = 16 * GIB,
	  .page_bytes = 65536,
	  .fault_ns = 45000,
	  .launch_ns = 5000,
	  PEAK(14000, 7000),
	  .mem_bw = 900,
	  PASCAL_LINK},
	 "V100 PCIe 16 GB data sheet; link and far fault as measured on pascal-pcie3"},
	{{.name = "pcie4-gpu",
	  .mem_bytes = 4 * GIB,
	  .page_bytes = 65536,
	  .fault_ns = 30000,
	  .launch_ns = 4000,
	  PEAK(19500, 9700),
	  .mem_bw = 1555,
	  LINE_LINK(1300, 25.0)},
	 "A100 40 GB data sheet (memory reduced to 4 GiB); PCIe 4 x16 at 80 % of 31.5 GB/s; far fault "
	 "assumed 30 us"},
	{{.name = "pcie5-gpu",
	  .mem_bytes = 16 * GIB,
	  .page_bytes = 65536,
	  .fault_ns = 25000,
	  .launch_ns = 4000,
	  PEAK(51000, 26000),
	  .mem_bw = 2000,
	  LINE_LINK(1100, 50.0)},
	 "H100 PCIe data sheet (memory reduced to 16 GiB); PCIe 5 x16 at 80 % of 63 GB/s; far fault assumed "
	 "25 us"},
	{{.name = "nvlink-gpu",
	  .mem_bytes = 16 * GIB,
	  .page_bytes = 65536,
	  .fault_ns = 10000,
	  .launch_ns = 4000,
	  PEAK(67000, 34000),
	  .mem_bw = 4000,
	  LINE_LINK(800, 400.0)},
	 "GH200 data sheet (memory reduced to 16 GiB), NVLink-C2C 450 GB/s a direction; far fault assumed 10 "
	 "us"},
	{{.name = "cxl-accel",
	  .mem_bytes = 8 * GIB,
	  .page_bytes = 4096,
	  .fault_ns = 5000,
	  .launch_ns = 2000,
	  PEAK(2000, 1000),
	  .mem_bw = 200,
	  LINE_LINK(400, 26.0)},
	 "CXL 2.0 on PCIe 5 x8 (31.5 GB/s), latency of Sun et al., MICRO'23; compute and far fault assumed"},
	{{.name = "remote-accel",
	  .page_bytes = 4096,
	  .fault_ns = 5000,
	  .launch_ns = 2000,
	  PEAK(2000, 1000),
	  .mem_bw = 26,
	  LINE_LINK(400, 26.0)},
	 "an MMU; works on the host's memory over the link of cxl-accel"},
	{{.name = "iommu-dma",
	  .page_bytes = 4096,
	  .cannot_fault = true,
	  .launch_ns = 5000,
	  PEAK(100, 50),
	  .mem_bw = 12,
	  LINE_LINK(1300, 12.0)},
	 "behind an IOMMU, cannot fault: reaches what gm_as_map() mapped; PCIe 3 x16 at 80 % of 15.8 GB/s, "
	 "compute assumed"},
};

/* ---- keys ---- */

static bool same_n(const char *s, size_t n, const char *word)
{
	size_t i = 0;

	while (i < n && word[i] && s[i] == word[i])
		i++;
	return i == n && !word[i];
}

/* The first n bytes of s as a string. */
static const char *cut(char *buf, size_t bytes, const char *s, size_t n)
{
	n = gm_min(n, bytes - 1);
	gm_copy(buf, s, n);
	buf[n] = 0;
	return buf;
}

/* "1.5" and an optional unit that must stand in `units`: pairs of name and factor. Negative: not a number. */
struct unit {
	const char *name;
	double factor;
};
static double number(const char *s, const struct unit *units, unsigned n)
{
	double v = 0, place = 1;
	bool digits = false;

	for (; *s >= '0' && *s <= '9'; s++, digits = true)
		v = v * 10 + (*s - '0');
	if (*s == '.')
		for (s++; *s >= '0' && *s <= '9'; s++, digits = true)
			v += (*s - '0') * (place /= 10);
	for (unsigned i = 0; digits && i < n; i++)
		if (same_n(s, sim_strlen(s), units[i].name))
			return v * units[i].factor;
	return -1;
}

static int set_mem(struct sim_model *m, const char *v)
{
	return gmi_parse_bytes(v, &m->mem_bytes) || m->mem_bytes % GM_BLOCK_BYTES ||
	       m->mem_bytes > 4096 * GIB;
}
static int set_reserve(struct sim_model *m, const char *v)
{
	return gmi_parse_bytes(v, &m->reserve_bytes) || m->reserve_bytes % GM_PAGE_BYTES;
}
static int set_page(struct sim_model *m, const char *v)
{
	return gmi_parse_bytes(v, &m->page_bytes) ||
	       (m->page_bytes != 4096 && m->page_bytes != 65536 && m->page_bytes != GM_BLOCK_BYTES);
}
static int set_workers(struct sim_model *m, const char *v)
{
	static const struct unit none[] = {{"", 1}};
	double n = number(v, none, 1);

	m->workers = n >= 1 && n <= SIM_MAX_WORKERS ? (unsigned)n : 0;
	return m->workers == 0 || (double)m->workers != n;
}
/* The same latency, another bandwidth. */
static int set_bw(struct sim_model *m, const char *v)
{
	static const struct unit units[] = {{"", 1e-9}, {"M", 1e-3}, {"G", 1}};
	double gbs = number(v, units, GM_ARRAY_LEN(units));
	double slope = (m->link[1].ns - m->link[0].ns) / (m->link[1].bytes - m->link[0].bytes);
	double latency = gm_max(m->link[0].ns - slope * m->link[0].bytes, 0);

	if (gbs < 1e-6)
		return -1;
	for (unsigned i = 0; i < m->nlink; i++)
		m->link[i].ns = latency + m->link[i].bytes / gbs;
	return 0;
}
static int set_fault(struct sim_model *m, const char *v)
{
	static const struct unit units[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}};
	double ns = number(v, units, GM_ARRAY_LEN(units));

	m->fault_ns = ns;
	return ns < 0;
}

static int set_policy(struct sim_model *m, enum gm_policy_kind kind, const char *v)
{
	struct gm_choice choice;
	size_t n = sizeof m->policy[0];

	return gmi_policy_parse(kind, v, &choice) || (size_t)gmi_snprintf(m->policy[kind], n, "%s", v) >= n;
}
static int set_prefetch(struct sim_model *m, const char *v)
{
	return set_policy(m, GM_POLICY_PREFETCH, v);
}
static int set_evict(struct sim_model *m, const char *v)
{
	return set_policy(m, GM_POLICY_EVICT, v);
}
static int set_placement(struct sim_model *m, const char *v)
{
	return set_policy(m, GM_POLICY_PLACEMENT, v);
}
static int set_thrash(struct sim_model *m, const char *v)
{
	return set_policy(m, GM_POLICY_THRASH, v);
}

static const struct key {
	const char *name, *valid;
	int (*set)(struct sim_model *m, const char *value);
} keys[] = {
	{"mem", "a multiple of 2M, e.g. 512M or 4G; 0: it works on the host's memory", set_mem},
	{"page", "4K, 64K or 2M", set_page},
	{"workers", "1 to 64", set_workers},
	{"bw", "the link's bytes per second, e.g. 12G", set_bw},
	{"fault", "a far fault's latency, e.g. 45us", set_fault},
	{"reserve", "bytes at the start of every space that the device keeps for itself, e.g. 64M",
	 set_reserve},
	{"prefetch", "as GMEM_PREFETCH, for this device", set_prefetch},
	{"evict", "as GMEM_EVICT, for this device", set_evict},
	{"placement", "as GMEM_PLACEMENT, for this device", set_placement},
	{"thrash", "as GMEM_THRASH, for this device", set_thrash},
};

/* ---- parsing ---- */

/* All names, separated by ", ". */
static void list(char *buf, size_t bytes, const char *(*name)(unsigned i))
{
	size_t at = 0;

	buf[0] = 0;
	for (unsigned i = 0; name(i) && at < bytes; i++)
		at += (size_t)gmi_snprintf(buf + at, bytes - at, "%s%s", i ? ", " : "", name(i));
}
static const char *profile_name(unsigned i)
{
	return i < GM_ARRAY_LEN(profiles) ? profiles[i].model.name : NULL;
}
static const char *key_name(unsigned i)
{
	return i < GM_ARRAY_LEN(keys) ? keys[i].name : NULL;
}

static size_t span(const char *s, char stop)
{
	size_t n = 0;

	while (s[n] && s[n] != ',' && s[n] != stop)
		n++;
	return n;
}

static int parse_key(const char *s, size_t n, struct sim_model *m, char *err, size_t err_bytes)
{
	size_t k = span(s, '=');
	char value[64], part[64], names[128];

	for (unsigned i = 0; i < GM_ARRAY_LEN(keys); i++) {
		if (!same_n(s, k, keys[i].name))
			continue;
		size_t len = k < n ? n - k - 1 : 0;
		if (len && !keys[i].set(m, cut(value, sizeof value, s + k + 1, len)))
			return 0;
		gmi_snprintf(err, err_bytes, "device option '%s': %s is %s", cut(part, sizeof part, s, n),
			     keys[i].name, keys[i].valid);
		return -EINVAL;
	}
	list(names, sizeof names, key_name);
	gmi_snprintf(err, err_bytes, "unknown device option '%s'; valid: %s", cut(part, sizeof part, s, k),
		     names);
	return -EINVAL;
}

int sim_model_parse(const char *spec, struct sim_model *m, char *err, size_t err_bytes)
{
	size_t n = span(spec, ',');
	char name[64], names[256];

	for (unsigned i = 0; i < GM_ARRAY_LEN(profiles); i++) {
		if (!same_n(spec, n, profiles[i].model.name))
			continue;
		*m = profiles[i].model;
		m->workers = 2;
		int bad = 0;
		for (spec += n; *spec == ',' && !bad; spec += n) {
			spec++;
			n = span(spec, ',');
			bad = parse_key(spec, n, m, err, err_bytes);
		}
		return bad;
	}
	list(names, sizeof names, profile_name);
	gmi_snprintf(err, err_bytes, "unknown device '%s'; valid: none, %s", cut(name, sizeof name, spec, n),
		     names);
	return -EINVAL;
}

static int check(const char *spec, char *err, size_t err_bytes)
{
	struct sim_model m;

	return sim_model_parse(spec, &m, err, err_bytes);
}

__attribute__((constructor)) static void offer_check(void)
{
	gmi_opt_check_device = check;
}

void gmi_sim_help(void (*out)(const char *line))
{
	char line[256];

	for (unsigned i = 0; i < GM_ARRAY_LEN(profiles); i++) {
		const struct sim_model *m = &profiles[i].model;
		char memory[32] = "no memory of its own";
		if (m->mem_bytes)
			gmi_snprintf(memory, sizeof memory, "%zuG", (size_t)(m->mem_bytes / GIB));
		gmi_snprintf(line, sizeof line, "%s: %s; %s", m->name, memory, profiles[i].source);
		out(line);
	}
	for (unsigned i = 0; i < GM_ARRAY_LEN(keys); i++) {
		gmi_snprintf(line, sizeof line, "%s=: %s", keys[i].name, keys[i].valid);
		out(line);
	}
}
