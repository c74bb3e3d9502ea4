/*
 * sim_profile.c - the devices that can be simulated, and the keys that make and override them.
 * The figures and their sources: devices/.
 *
 * Peak rates are of the vector units (what a BLAS without tensor cores can reach); 'c' and 'z'
 * count real operations.
 */
#include "devsim/driver/sim_int.h"
#include <errno.h>

#define GIB ((uint64_t)1 << 30)
#define KIB 1024.0

#define FAULT_BATCH	  256 /* NVIDIA UVM: uvm_perf_fault_batch_count */
#define COUNTER_THRESHOLD 256 /* uvm_perf_access_counter_threshold */
#define COUNTER_GRANULE	  GM_BLOCK_BYTES

/* The built-in profiles: devices/, each turned into the string that a user's own file becomes
 * (gmem-profile). */
static const struct profile {
	const char *name, *about, *spec;
} profiles[] = {
#include "devices.inc"
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
static const char *cut_line(char *buf, size_t bytes, const char *s, size_t n)
{
	n = gm_min(n, bytes - 1);
	gm_copy(buf, s, n);
	buf[n] = 0;
	return buf;
}

/* "1.5" and an optional unit that must stand in `units`: pairs of name and factor. Negative: not
 * a number. */
struct unit {
	const char *name;
	double factor;
};
static double plain_number(const char *s, const struct unit *units, unsigned n)
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
	double n = plain_number(v, none, 1);

	m->workers = n >= 1 && n <= SIM_MAX_WORKERS ? (unsigned)n : 0;
	return m->workers == 0 || (double)m->workers != n;
}
static const struct unit times[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}};
static const struct unit rates[] = {{"", 1e-9}, {"M", 1e-3}, {"G", 1}};
static const struct unit plain[] = {{"", 1}};

static int set_number(double *to, const char *v, const struct unit *units, unsigned n)
{
	double d = plain_number(v, units, n);

	*to = d;
	return d < 0;
}
/* Kinds of fields. `to`: the field; most: of a count. 0, or not 0: not valid. */
static int set_time(void *to, const char *v, unsigned most)
{
	return set_number(to, v, times, GM_ARRAY_LEN(times));
}
static int set_rate(void *to, const char *v, unsigned most)
{
	return set_number(to, v, rates, GM_ARRAY_LEN(rates)) || *(double *)to < 1e-6;
}
static int set_count(void *to, const char *v, unsigned most)
{
	double d = plain_number(v, plain, 1);
	unsigned n = d >= 1 && d <= most ? (unsigned)d : 0;

	*(unsigned *)to = n;
	return n == 0 || (double)n != d;
}
static int set_flag(void *to, const char *v, unsigned most)
{
	bool yes = sim_streq(v, "yes");

	*(bool *)to = yes;
	return !yes && !sim_streq(v, "no");
}
static int set_bytes(void *to, const char *v, unsigned most)
{
	return gmi_parse_bytes(v, to);
}

static double link_slope(const struct sim_model *m)
{
	const struct sim_point *p = &m->link[m->nlink - 2];

	return (p[1].ns - p[0].ns) / (p[1].bytes - p[0].bytes);
}
/* A link known by latency and bandwidth (GB/s): two points are enough. */
static void set_line(struct sim_model *m, double latency_ns, double gbs)
{
	static const double at[] = {4 * KIB, 2048 * KIB};

	m->nlink = GM_ARRAY_LEN(at);
	for (unsigned i = 0; i < m->nlink; i++)
		m->link[i] = (struct sim_point){at[i], latency_ns + at[i] / gbs};
}
/* What crosses the link in single accesses keeps its share of the link. */
static void scale_remote(struct sim_model *m, double by)
{
	m->remote.bw *= by;
	m->cpu.bw *= by;
}
static int set_latency(struct sim_model *m, const char *v)
{
	double ns, gbs = m->nlink ? 1 / link_slope(m) : 1;

	if (set_time(&ns, v, 0))
		return -1;
	set_line(m, ns, gbs);
	return 0;
}
/* The same latency, another bandwidth. */
static int set_bw(struct sim_model *m, const char *v)
{
	double gbs;

	if (set_rate(&gbs, v, 0))
		return -1;
	if (!m->nlink)
		set_line(m, 0, gbs);
	double slope = (m->link[1].ns - m->link[0].ns) / (m->link[1].bytes - m->link[0].bytes);
	double latency = gm_max(m->link[0].ns - slope * m->link[0].bytes, 0);
	scale_remote(m, gbs * link_slope(m));
	for (unsigned i = 0; i < m->nlink; i++)
		m->link[i].ns = latency + m->link[i].bytes / gbs;
	return 0;
}
static int set_homebw(struct sim_model *m, const char *v)
{
	double gbs;

	if (set_rate(&gbs, v, 0) || !m->nlink)
		return -1;
	m->home_scale = 1 / link_slope(m) / gbs;
	return 0;
}
/* "bytes:ns/bytes:ns...", sizes rising. */
static int set_link(struct sim_model *m, const char *v)
{
	char part[32];
	unsigned n = 0;

	while (*v && n < SIM_LINK_POINTS) {
		double *to[] = {&m->link[n].bytes, &m->link[n].ns};
		for (unsigned i = 0; i < 2; i++) {
			size_t len = 0;
			while (v[len] && v[len] != (i ? '/' : ':'))
				len++;
			if (set_number(to[i], cut_line(part, sizeof part, v, len), plain, 1) ||
			    *to[i] <= 0)
				return -1;
			v += len + (v[len] != 0);
		}
		if (n && m->link[n].bytes <= m->link[n - 1].bytes)
			return -1;
		n++;
	}
	m->nlink = n;
	return *v || n < 2;
}
static int set_single(struct sim_model *m, const char *v)
{
	int bad = set_number(&m->gflops[0], v, plain, 1);

	m->gflops[2] = m->gflops[0];
	return bad || m->gflops[0] <= 0;
}
static int set_double(struct sim_model *m, const char *v)
{
	int bad = set_number(&m->gflops[1], v, plain, 1);

	m->gflops[3] = m->gflops[1];
	return bad || m->gflops[1] <= 0;
}
static int set_granule(struct sim_model *m, const char *v)
{
	return gmi_parse_bytes(v, &m->counter_granule_bytes) ||
	       (m->counter_granule_bytes != 65536 && m->counter_granule_bytes != GM_BLOCK_BYTES);
}
static int set_name(struct sim_model *m, const char *v)
{
	return (size_t)gmi_snprintf(m->name, sizeof m->name, "%s", v) >= sizeof m->name;
}

static int set_peer_link(struct sim_model *m, const char *v)
{
	return (size_t)gmi_snprintf(m->peer_name, sizeof m->peer_name, "%s", v) >=
	       sizeof m->peer_name;
}

static int set_policy(struct sim_model *m, enum gm_policy_kind kind, const char *v)
{
	struct gm_choice choice;
	size_t n = sizeof m->policy[0];

	return gmi_policy_parse(kind, v, &choice) ||
	       (size_t)gmi_snprintf(m->policy[kind], n, "%s", v) >= n;
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
static int set_residence(struct sim_model *m, const char *v)
{
	return set_policy(m, GM_POLICY_RESIDENCE, v);
}

#define AT(field) offsetof(struct sim_model, field)
static const struct key {
	const char *name, *valid;
	int (*set)(struct sim_model *m, const char *value);
	/* or a field, as it is */
	int (*field)(void *to, const char *value, unsigned most);
	size_t at;
	unsigned most;
} keys[] = {
	{"mem", "a multiple of 2M, e.g. 512M or 4G; 0: it works on the host's memory",
	 .set = set_mem},
	{"page", "4K, 64K or 2M", .set = set_page},
	{"workers", "1 to 64", .set = set_workers},
	{"bw", "the link's bytes per second, e.g. 12G; accesses in place keep their share of it",
	 .set = set_bw},
	{"fault", "a far fault's latency, e.g. 45us", .field = set_time, AT(fault_ns)},
	{"reserve", "bytes at the start of every space that the device keeps for itself, e.g. 64M",
	 .set = set_reserve},
	{"prefetch", "as GMEM_PREFETCH, for this device", .set = set_prefetch},
	{"evict", "as GMEM_EVICT, for this device", .set = set_evict},
	{"placement", "as GMEM_PLACEMENT, for this device", .set = set_placement},
	{"thrash", "as GMEM_THRASH, for this device", .set = set_thrash},
	{"residence", "as GMEM_RESIDENCE, for this device", .set = set_residence},
	{"latency", "the link's latency, e.g. 1.3us", .set = set_latency},
	{"homebw", "the link's bytes per second on the way home, e.g. 12G", .set = set_homebw},
	{"link", "measured transfers, bytes:ns/bytes:ns..., up to 8, sizes rising",
	 .set = set_link},
	{"duplex", "yes or no: both directions of the link at once", .field = set_flag, AT(duplex)},
	{"batch", "1 to 4096: faults that one look at the fault buffer serves", .field = set_count,
	 AT(fault_batch), 4096},
	{"nofault", "yes or no: yes reaches only what gm_as_map() mapped", .field = set_flag,
	 AT(cannot_fault)},
	{"shared", "yes or no: yes walks the CPU's page table and has no far faults",
	 .field = set_flag, AT(shared_table)},
	{"threshold", "1 to 65535: accesses that make a granule of the access counters hot",
	 .field = set_count, AT(counter_threshold), 65535},
	{"granule", "64K or 2M: of the access counters", .set = set_granule},
	{"launch", "what a launch takes, e.g. 4us", .field = set_time, AT(launch_ns)},
	{"single", "Gflop/s in single precision", .set = set_single},
	{"double", "Gflop/s in double precision", .set = set_double},
	{"membw", "its memory's bytes per second, e.g. 1555G", .field = set_rate, AT(mem_bw)},
	{"l2", "bytes of its last cache, e.g. 40M", .field = set_bytes, AT(l2_bytes)},
	{"rlatency", "an access to host memory in place, e.g. 1.3us", .field = set_time,
	 AT(remote.latency_ns)},
	{"rbw", "bytes per second of such accesses, e.g. 12G", .field = set_rate, AT(remote.bw)},
	{"rsector", "1 to 4096: bytes that one of them moves", .field = set_count,
	 AT(remote.sector), 4096},
	{"clatency", "the CPU's access to device memory in place, e.g. 1.3us", .field = set_time,
	 AT(cpu.latency_ns)},
	{"cbw", "bytes per second of such accesses, e.g. 12G", .field = set_rate, AT(cpu.bw)},
	{"csector", "1 to 4096: bytes that one of them moves", .field = set_count, AT(cpu.sector),
	 4096},
	{"peer", "up to 15 characters: a link to every device that names the same",
	 .set = set_peer_link},
	{"peerlatency", "that link's latency, e.g. 1us", .field = set_time, AT(peer.latency_ns)},
	{"peerbw", "its bytes per second and direction, e.g. 450G", .field = set_rate, AT(peer.bw)},
	{"peersector", "1 to 4096: bytes that one access in place moves", .field = set_count,
	 AT(peer.sector), 4096},
	{"peermap", "yes or no: no: only copies go over it, nothing is used in place",
	 .field = set_flag, AT(peer_map)},
	{"name", "up to 31 characters: how reports call it", .set = set_name},
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
	return i < GM_ARRAY_LEN(profiles) ? profiles[i].name : NULL;
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

static int set_key(const struct key *k, struct sim_model *m, const char *value)
{
	return k->set ? k->set(m, value) : k->field((char *)m + k->at, value, k->most);
}

static int parse_key(const char *s, size_t n, struct sim_model *m, char *err, size_t err_bytes)
{
	size_t k = span(s, '=');
	char value[128], part[64], names[400];

	for (unsigned i = 0; i < GM_ARRAY_LEN(keys); i++) {
		if (!same_n(s, k, keys[i].name))
			continue;
		size_t len = k < n ? n - k - 1 : 0;
		if (len && !set_key(&keys[i], m, cut_line(value, sizeof value, s + k + 1, len)))
			return 0;
		gmi_snprintf(err, err_bytes, "device option '%s': %s is %s",
			     cut_line(part, sizeof part, s, n), keys[i].name, keys[i].valid);
		return -EINVAL;
	}
	list(names, sizeof names, key_name);
	gmi_snprintf(err, err_bytes, "unknown device option '%s'; valid: %s",
		     cut_line(part, sizeof part, s, k), names);
	return -EINVAL;
}

/* ",key=value..." */
static int parse_keys(const char *spec, struct sim_model *m, char *err, size_t err_bytes)
{
	int bad = 0;

	while (*spec == ',' && !bad) {
		size_t n = span(++spec, ',');
		bad = parse_key(spec, n, m, err, err_bytes);
		spec += n;
	}
	return bad;
}

/* What no key set, and cannot do without. */
static int complete(const char *spec, struct sim_model *m, char *err, size_t err_bytes)
{
	const struct {
		const char *key;
		bool there;
	} needed[] = {
		{"page", m->page_bytes},
		{"membw", m->mem_bw > 0},
		{"single", m->gflops[0] > 0},
		{"double", m->gflops[1] > 0},
		{"link or bw", m->nlink >= 2},
		{"rbw", m->remote.bw > 0},
		{"rsector", m->remote.sector},
		{"cbw", m->cpu.bw > 0},
		{"csector", m->cpu.sector},
		{"peerbw", !m->peer_name[0] || m->peer.bw > 0},
		{"peersector", !m->peer_name[0] || m->peer.sector},
	};

	for (unsigned i = 0; i < GM_ARRAY_LEN(needed); i++) {
		if (needed[i].there)
			continue;
		gmi_snprintf(err, err_bytes, "device '%s' needs %s=", m->name, needed[i].key);
		return -EINVAL;
	}
	/* Single accesses do not get more out of the link than copies do. */
	m->remote.bw = gm_min(m->remote.bw, 1 / link_slope(m));
	return 0;
}

static const struct sim_model blank = {.name = "custom",
				       .workers = 2,
				       .home_scale = 1,
				       .duplex = true,
				       .peer_map = true,
				       .fault_batch = FAULT_BATCH,
				       .counter_threshold = COUNTER_THRESHOLD,
				       .counter_granule_bytes = COUNTER_GRANULE};

int sim_model_parse(const char *spec, struct sim_model *m, char *err, size_t err_bytes)
{
	size_t n = span(spec, ',');
	char name[64], names[400];
	bool known = same_n(spec, n, "custom");

	*m = blank;
	for (unsigned i = 0; i < GM_ARRAY_LEN(profiles) && !known; i++) {
		known = same_n(spec, n, profiles[i].name);
		if (known &&
		    parse_keys(profiles[i].spec + span(profiles[i].spec, ','), m, err, err_bytes))
			return -EINVAL;
	}
	if (known) {
		int bad = parse_keys(spec + n, m, err, err_bytes);
		return bad ? bad : complete(spec, m, err, err_bytes);
	}
	list(names, sizeof names, profile_name);
	gmi_snprintf(err, err_bytes,
		     "unknown device '%s'; valid: none, %s, or a profile in a file "
		     "(run-with-gmem.sh --device FILE.toml)",
		     cut_line(name, sizeof name, spec, n), names);
	return -EINVAL;
}

static int check_device_spec(const char *spec, char *err, size_t err_bytes)
{
	struct sim_model m;

	return sim_model_parse(spec, &m, err, err_bytes);
}

__attribute__((constructor)) static void offer_check(void)
{
	gmi_opt_check_device = check_device_spec;
}

void gmi_sim_help(void (*out)(const char *line))
{
	char line[256];

	for (unsigned i = 0; i < GM_ARRAY_LEN(profiles); i++) {
		struct sim_model m;
		char memory[32] = "no memory of its own";
		if (sim_model_parse(profiles[i].name, &m, line, sizeof line)) {
			out(line);
			continue;
		}
		if (m.mem_bytes)
			gmi_snprintf(memory, sizeof memory, "%zuG", (size_t)(m.mem_bytes / GIB));
		gmi_snprintf(line, sizeof line, "%s: %s; %s", m.name, memory, profiles[i].about);
		out(line);
	}
	for (unsigned i = 0; i < GM_ARRAY_LEN(keys); i++) {
		gmi_snprintf(line, sizeof line, "%s=: %s", keys[i].name, keys[i].valid);
		out(line);
	}
}
