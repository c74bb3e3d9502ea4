/*
 * opt.c - the options: one table drives parsing, error messages, help and docs/options.md.
 *
 * Runs before main in foreign processes: no malloc, no stdio, no locale, nothing of libc.
 */
#include "core/rules/opt.h"
#include "core/sys/text.h"
#include "core/sys/inject.h"
#include "core/rules/policy.h"
#include <errno.h>
#include <sys/auxv.h>

#define DEFAULT_DEVICE "pcie4-gpu"

struct gm_options gmi_opt = {
	.ndev = 1,
	.device = {DEFAULT_DEVICE},
	.offload_blas = true,
	.blas_min = 500,
	.sample = true,
	.foreign = GM_FOREIGN_SHARED,
	.prefetch = GM_PREFETCH_TREE,
	.evict = GM_EVICT_LRU2M,
	.thrash = GM_THRASH_PIN,
	.policy_number = {[GM_POLICY_PREFETCH] = 51,
			  [GM_POLICY_EVICT] = 50,
			  [GM_POLICY_THRASH] = GM_THRASH_LAPSE_US},
	.retain_bytes = (uint64_t)512 << 20,
	.report = GM_REPORT_TEXT,
	.log = GM_LOG_WARN,
	.children = GM_CHILDREN_ALL,
};
int (*gmi_opt_check_device)(const char *spec, char *err, size_t err_bytes);
bool (*gmi_opt_check_regex)(const char *regex);

/* ---- small string functions ---- */

static size_t length(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool name_char(char c)
{
	return digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
	       c == '_' || c == '.';
}

/* Copies the n characters at s; false when they do not fit. */
static bool opt_copy(char *to, size_t room, const char *s, size_t n)
{
	if (n >= room)
		return false;
	for (size_t i = 0; i < n; i++)
		to[i] = s[i];
	to[n] = 0;
	return true;
}

/* Reads "12", "12.5", ".5" as whole + part/scale; returns what follows, or NULL. */
static const char *decimal(const char *s, uint64_t *whole, uint64_t *part, uint64_t *scale)
{
	const char *start = s;

	*whole = *part = 0;
	*scale = 1;
	for (; digit(*s); s++) {
		if (__builtin_mul_overflow(*whole, 10, whole) ||
		    __builtin_add_overflow(*whole, (uint64_t)(*s - '0'), whole))
			return NULL;
	}
	if (*s != '.')
		return s == start ? NULL : s;
	const char *dot = s++;
	for (; digit(*s); s++)
		if (*scale < 1000000) {
			*part = *part * 10 + (uint64_t)(*s - '0');
			*scale *= 10;
		}
	return dot == start && s == dot + 1 ? NULL : s;
}

int gmi_parse_bytes(const char *s, uint64_t *bytes)
{
	static const char units[] = "KMGT";
	uint64_t whole, part, scale, result;
	unsigned shift = 0;

	if (!(s = decimal(s, &whole, &part, &scale)))
		return -EINVAL;
	for (unsigned i = 0; units[i]; i++)
		if (*s == units[i] || *s == units[i] + ('a' - 'A')) {
			shift = (i + 1) * 10;
			s++;
			break;
		}
	if (*s || (part && !shift))
		return -EINVAL;
	if (__builtin_mul_overflow(whole, (uint64_t)1 << shift, &result) ||
	    __builtin_add_overflow(result, (uint64_t)(((unsigned __int128)part << shift) / scale),
				   &result))
		return -EINVAL;
	*bytes = result;
	return 0;
}

/* ---- one parser a type: 0, or -EINVAL and perhaps a message of its own ---- */

struct option;
typedef int parser(const struct option *o, const char *value, char *err, size_t err_bytes);

struct word {
	const char *word;
	int value;
};

struct option {
	const char *name, *flag, *arg; /* flag NULL: not for people */
	const char *deflt;
	const char *valid;
	const char *meaning;
	parser *parse;
	size_t offset; /* of the field, for the generic parsers */
	const struct word *words;
	enum gm_policy_kind policy; /* for parse_policy */
};

#define FIELD(o, type) ((type *)(void *)((char *)&gmi_opt + (o)->offset))

static const struct word *find_word(const struct word *w, const char *value)
{
	for (; w->word; w++)
		if (gm_text_same(w->word, value))
			return w;
	return NULL;
}

static int parse_bool(const struct option *o, const char *value, char *err, size_t err_bytes)
{
	if ((*value != '0' && *value != '1') || value[1])
		return -EINVAL;
	*FIELD(o, bool) = *value == '1';
	return 0;
}

/* One word of GMEM_OFFLOAD, of those before it cleared: what follows it; NULL: it is none. */
static const char *parse_offloaded(const char *s)
{
	const char *rest = gm_text_after(s, "blas");

	if (rest) {
		gmi_opt.offload_blas = true;
		return rest;
	}
	rest = gm_text_after(s, "openmp");
	if (!rest)
		return NULL;
	gmi_opt.offload_openmp = true;
	if (*rest != ':')
		return rest;
	size_t n = length(++rest); /* commas as well */
	return n && opt_copy(gmi_opt.openmp_regex, sizeof gmi_opt.openmp_regex, rest, n) ? rest + n
											 : NULL;
}

static int parse_offload(const struct option *o, const char *value, char *err, size_t err_bytes)
{
	const char *rest;

	gmi_opt.offload_blas = gmi_opt.offload_openmp = false;
	gmi_opt.openmp_regex[0] = 0;
	if (gm_text_same(value, "none"))
		return 0;
	while ((rest = parse_offloaded(value)) && *rest == ',')
		value = rest + 1;
	if (!rest || *rest)
		return -EINVAL;
	const char *regex = gmi_opt.openmp_regex;
	if (!*regex || !gmi_opt_check_regex || gmi_opt_check_regex(regex))
		return 0;
	gmi_snprintf(err, err_bytes, "%s: %s is not a regular expression (POSIX, extended)",
		     o->name, regex);
	return -EINVAL;
}

static int parse_word(const struct option *o, const char *value, char *err, size_t err_bytes)
{
	const struct word *w = find_word(o->words, value);

	if (!w)
		return -EINVAL;
	*FIELD(o, int) = w->value;
	return 0;
}

static int parse_share(const struct option *o, const char *value, char *err, size_t err_bytes)
{
	for (const char *c = value; *c; c++)
		if (!name_char(*c))
			return -EINVAL;
	return opt_copy(gmi_opt.share, sizeof gmi_opt.share, value, length(value)) ? 0 : -EINVAL;
}

static int parse_size(const struct option *o, const char *value, char *err, size_t err_bytes)
{
	return gmi_parse_bytes(value, FIELD(o, uint64_t));
}

static int parse_number(const struct option *o, const char *value, char *err, size_t err_bytes)
{
	uint64_t whole, part, scale;
	const char *end = decimal(value, &whole, &part, &scale);

	if (!end || *end)
		return -EINVAL;
	*FIELD(o, double) = (double)whole + (double)part / (double)scale;
	return 0;
}

static int parse_count(const struct option *o, const char *value, char *err, size_t err_bytes)
{
	uint64_t whole, part, scale;
	const char *end = decimal(value, &whole, &part, &scale);

	if (!end || *end || scale != 1 || whole > INT32_MAX)
		return -EINVAL;
	*FIELD(o, int) = (int)whole;
	return 0;
}

/* The name of a policy; the option's field gets its index in policy.c's table. */
static int parse_policy(const struct option *o, const char *value, char *err, size_t err_bytes)
{
	struct gm_choice choice;

	if (gmi_policy_parse(o->policy, value, &choice))
		return -EINVAL;
	*FIELD(o, int) = (int)gmc_policy_index(o->policy, choice.def);
	if (choice.number)
		gmi_opt.policy_number[o->policy] = choice.number;
	return 0;
}

static int parse_percent(const struct option *o, const char *value, char *err, size_t err_bytes)
{
	uint64_t whole, part, scale;
	const char *end = decimal(value, &whole, &part, &scale);

	if (!end || *end || scale != 1 || whole > 50)
		return -EINVAL;
	*FIELD(o, unsigned) = (unsigned)whole;
	return 0;
}

static int parse_inject(const struct option *o, const char *value, char *err, size_t err_bytes)
{
	return gmi_inject(value);
}

/* rate[,seed=N][,write] */
static int parse_chaos(const struct option *o, const char *value, char *err, size_t err_bytes)
{
	uint64_t whole, part, scale, seed = 0;
	const char *s = decimal(value, &whole, &part, &scale), *rest;
	bool write = false;

	if (!s || scale != 1 || whole > 1000000)
		return -EINVAL;
	for (; *s == ','; s = rest) {
		if ((rest = gm_text_after(s, ",write"))) {
			write = true;
		} else if (!(rest = gm_text_after(s, ",seed=")) ||
			   !(rest = decimal(rest, &seed, &part, &scale)) || scale != 1) {
			return -EINVAL;
		}
	}
	if (*s)
		return -EINVAL;
	gmi_opt.chaos_rate = (unsigned)whole;
	gmi_opt.chaos_seed = seed;
	gmi_opt.chaos_write = write;
	return 0;
}

static int limit_time(const char *s, uint64_t *ns)
{
	uint64_t whole, part, scale;
	const char *end = decimal(s, &whole, &part, &scale);

	if (!end || *end || whole > 1000000000)
		return -EINVAL;
	*ns = whole * 1000000000 + part * 1000000000 / scale;
	return 0;
}

static int limit_count(const char *s, uint64_t *n)
{
	uint64_t part, scale;
	const char *end = decimal(s, n, &part, &scale);

	return !end || *end || scale != 1 ? -EINVAL : 0;
}

static const struct limit {
	const char *key;
	int (*parse)(const char *s, uint64_t *value);
	uint64_t *to;
} limits[] = {
	{"time=", limit_time, &gmi_opt.limit_ns},
	{"faults=", limit_count, &gmi_opt.limit_faults},
	{"bytes=", gmi_parse_bytes, &gmi_opt.limit_bytes},
};

/* One KEY=VALUE, which ends at a comma or with the text: what follows; NULL: it is none. */
static const char *parse_one_limit(const char *s)
{
	char value[32];

	for (unsigned i = 0; i < GM_ARRAY_LEN(limits); i++) {
		const char *at = gm_text_after(s, limits[i].key);
		size_t n = 0;
		if (!at)
			continue;
		while (at[n] && at[n] != ',')
			n++;
		if (!opt_copy(value, sizeof value, at, n) || limits[i].parse(value, limits[i].to) ||
		    !*limits[i].to)
			return NULL;
		gmi_opt.limited = true;
		return at + n;
	}
	return NULL;
}

/* At least one of the limits, and end. */
static int parse_limit(const struct option *o, const char *value, char *err, size_t err_bytes)
{
	gmi_opt.limited = gmi_opt.limit_end = false;
	for (unsigned i = 0; i < GM_ARRAY_LEN(limits); i++)
		*limits[i].to = 0;
	for (const char *s = value, *rest;; s = rest + 1) {
		rest = gm_text_after(s, "end");
		gmi_opt.limit_end |= rest != NULL;
		if (!rest && !(rest = parse_one_limit(s)))
			return -EINVAL;
		if (!*rest)
			return gmi_opt.limited ? 0 : -EINVAL;
		if (*rest != ',')
			return -EINVAL;
	}
}

static int parse_restrict(const struct option *o, const char *value, char *err, size_t err_bytes)
{
	return opt_copy(gmi_opt.restrict_exe, sizeof gmi_opt.restrict_exe, value, length(value))
		       ? 0
		       : -EINVAL;
}

/* profile[,key=value]... */
static bool device_syntax(const char *s)
{
	const char *start = s;

	while (name_char(*s))
		s++;
	if (s == start)
		return false;
	while (*s == ',') {
		const char *key = ++s;
		while (name_char(*s))
			s++;
		if (s == key || *s != '=')
			return false;
		const char *value = ++s;
		while (*s && *s != ',')
			s++;
		if (s == value)
			return false;
	}
	return !*s;
}

/* One entry of n characters. */
static int add_device(const struct option *o, const char *entry, size_t n, char *err,
		      size_t err_bytes)
{
	char why[400] = "";

	if (gmi_opt.ndev >= GM_MAX_DEV) {
		gmi_snprintf(err, err_bytes, "%s names more than %d devices", o->name, GM_MAX_DEV);
		return -EINVAL;
	}
	for (size_t i = 0; i + 5 <= n; i++) {
		if (!gm_text_after(entry + i, ".toml"))
			continue;
		gmi_snprintf(
			err, err_bytes,
			"%s: profiles in files are read by run-with-gmem.sh; elsewhere give what "
			"`gmem-profile FILE.toml` prints",
			o->name);
		return -EINVAL;
	}
	char *spec = gmi_opt.device[gmi_opt.ndev++];
	if (!opt_copy(spec, sizeof gmi_opt.device[0], entry, n) || !device_syntax(spec))
		return -EINVAL;
	if (gmi_opt_check_device && gmi_opt_check_device(spec, why, sizeof why) != 0) {
		gmi_snprintf(err, err_bytes, "%s: %s", o->name, why);
		return -EINVAL;
	}
	return 0;
}

static int parse_device(const struct option *o, const char *value, char *err, size_t err_bytes)
{
	gmi_opt.ndev = 0;
	if (gm_text_same(value, "none"))
		return 0;
	for (const char *s = value;; s++) {
		size_t n = 0;

		while (s[n] && s[n] != ';')
			n++;
		int r = add_device(o, s, n, err, err_bytes);
		if (r || !s[n])
			return r;
		s += n;
	}
}

/* Appends at *at; false when the room is used up. */
static bool path_append(char *to, size_t room, size_t *at, const char *s, size_t n)
{
	if (*at + n >= room || !opt_copy(to + *at, room - *at, s, n))
		return false;
	*at += n;
	return true;
}

/* By what launchers of MPI programs tell each process its number. The first that is there counts:
 * under Slurm's own there may be another one. */
static const char *const rank_variables[] = {"OMPI_COMM_WORLD_RANK=", "PMIX_RANK=", "PMI_RANK=",
					     "MV2_COMM_WORLD_RANK=", "SLURM_PROCID="};

static void find_rank(char *const *envp)
{
	for (unsigned i = 0; i < GM_ARRAY_LEN(rank_variables); i++)
		for (char *const *e = envp; e && *e; e++) {
			const char *value = gm_text_after(*e, rank_variables[i]);
			size_t n = 0;
			while (value && value[n] >= '0' && value[n] <= '9')
				n++;
			if (n && !value[n] && n < sizeof gmi_opt.rank) {
				opt_copy(gmi_opt.rank, sizeof gmi_opt.rank, value, n);
				return;
			}
		}
}

/* A file's path, made absolute now (the program may change its directory), each %p replaced by the
 * pid, each %r by the rank; without one by the pid as well. */
static int set_path(const struct option *o, const char *value, char *to, size_t room, char *err,
		    size_t err_bytes)
{
	char pid[16];
	size_t at = 0;
	bool fits = true;

	if (*value != '/') {
		long r = gm_sys2(SYS_getcwd, to, room); /* its length with the terminator */
		fits = r > 0 && path_append(to, room, &(size_t){(size_t)r - 1}, "/", 1);
		at = fits ? (size_t)r : 0;
	}
	size_t pid_len = (size_t)gmi_snprintf(pid, sizeof pid, "%d", (int)gm_sys0(SYS_getpid));
	for (; *value && fits; value++) {
		bool rank = value[0] == '%' && value[1] == 'r';
		if (rank && *gmi_opt.rank)
			fits = path_append(to, room, &at, gmi_opt.rank, length(gmi_opt.rank));
		else if (rank || (value[0] == '%' && value[1] == 'p'))
			fits = path_append(to, room, &at, pid, pid_len);
		else {
			fits = path_append(to, room, &at, value, 1);
			continue;
		}
		value++;
	}
	if (!fits)
		gmi_snprintf(err, err_bytes, "%s: the path of the file is longer than %d bytes",
			     o->name, (int)room - 32);
	return fits ? 0 : -EINVAL;
}

/* The pid that set_path puts into it; 0: none. */
static int pid_in_path(const char *value)
{
	for (; *value; value++)
		if (value[0] == '%' && (value[1] == 'p' || (value[1] == 'r' && !*gmi_opt.rank)))
			return (int)gm_sys0(SYS_getpid);
	return 0;
}

static int parse_report(const struct option *o, const char *value, char *err, size_t err_bytes)
{
	size_t n = length(value);

	gmi_opt.report_given = true;
	if (find_word(o->words, value))
		return parse_word(o, value, err, err_bytes);
	if (n < 6 || !gm_text_same(value + n - 5, ".json"))
		return -EINVAL;
	gmi_opt.report = GM_REPORT_JSON;
	gmi_opt.report_pid = pid_in_path(value);
	return set_path(o, value, gmi_opt.report_file, sizeof gmi_opt.report_file, err, err_bytes);
}

/* A plug-in's file. It is loaded where libc may be called (page/plugin.h). */
static int parse_plugin(const struct option *o, const char *value, char *err, size_t err_bytes)
{
	if (!*value)
		return -EINVAL;
	int r = set_path(o, value, gmi_opt.policy_file, sizeof gmi_opt.policy_file, err, err_bytes);
	if (!r && gm_sys2(SYS_access, gmi_opt.policy_file, 4 /* R_OK */)) {
		gmi_snprintf(err, err_bytes, "%s: no file %s", o->name, gmi_opt.policy_file);
		r = -EINVAL;
	}
	return r;
}

/* A reporter writes it: that starts with the process, as for a report that was asked for. */
static int parse_trace(const struct option *o, const char *value, char *err, size_t err_bytes)
{
	gmi_opt.report_given = true;
	gmi_opt.trace_pid = pid_in_path(value);
	return *value ? set_path(o, value, gmi_opt.trace_file, sizeof gmi_opt.trace_file, err,
				 err_bytes)
		      : -EINVAL;
}

/* The reporter shows it: as for a trace. */
static int parse_progress(const struct option *o, const char *value, char *err, size_t err_bytes)
{
	int bad = parse_word(o, value, err, err_bytes);

	gmi_opt.report_given |= !bad && gmi_opt.progress != GM_PROGRESS_NONE;
	return bad;
}

static int parse_record(const struct option *o, const char *value, char *err, size_t err_bytes)
{
	return *value ? set_path(o, value, gmi_opt.record_file, sizeof gmi_opt.record_file, err,
				 err_bytes)
		      : -EINVAL;
}

/* ---- the table ---- */

static const struct word fault_words[] = {
	{"sigsegv", GM_FAULT_SIGSEGV}, {"uffd", GM_FAULT_UFFD}, {NULL, 0}};
static const struct word foreign_words[] = {{"coherent", GM_FOREIGN_COHERENT},
					    {"shared", GM_FOREIGN_SHARED},
					    {"copy", GM_FOREIGN_COPY},
					    {"none", GM_FOREIGN_NONE},
					    {NULL, 0}};
static const struct word report_words[] = {
	{"none", GM_REPORT_NONE}, {"text", GM_REPORT_TEXT}, {NULL, 0}};
static const struct word progress_words[] = {{"none", GM_PROGRESS_NONE},
					     {"auto", GM_PROGRESS_AUTO},
					     {"always", GM_PROGRESS_ALWAYS},
					     {NULL, 0}};
static const struct word log_words[] = {{"none", GM_LOG_NONE},	 {"error", GM_LOG_ERROR},
					{"warn", GM_LOG_WARN},	 {"info", GM_LOG_INFO},
					{"debug", GM_LOG_DEBUG}, {NULL, 0}};
static const struct word children_words[] = {
	{"all", GM_CHILDREN_ALL}, {"none", GM_CHILDREN_NONE}, {NULL, 0}};

#define AT(field) .offset = offsetof(struct gm_options, field)

static const struct option options[] = {
	{"GMEM_DEVICE", "--device", "SPEC", DEFAULT_DEVICE,
	 "none, or profile[,key=value]..., several of them separated by ';' (profiles: gmem-report "
	 "--profiles)",
	 "the simulated devices, e.g. pcie3-gpu,mem=1G,page=64K,workers=2, or a profile's "
	 "FILE.toml (docs/devices.md); the flag may be given several times",
	 parse_device, AT(device)},
	{"GMEM_OFFLOAD", "--offload", "WHAT", "blas",
	 "none, blas, openmp, openmp:REGEX, several of them separated by ',' (REGEX comes last)",
	 "what runs on the device: BLAS-3 calls; parallel regions of OpenMP programs for the CPU, "
	 "all or those whose functions' names, as in the report, or FILE:LINE (clang -g) match "
	 "(docs/parallel.md)",
	 parse_offload, AT(offload_blas)},
	{"GMEM_BLAS_MIN", "--blas-min", "N", "500", "a number, 0 or more",
	 "BLAS-3 calls with (m*n*k)^(1/3) below N stay on the host", parse_number, AT(blas_min)},
	{"GMEM_PREFETCH", "--prefetch", "HOW", "tree:51",
	 "none, seq64k, tree, tree:1 .. tree:100, adaptive",
	 "what a device fault brings along; tree: the largest subtree of 2 MiB that is fuller than "
	 "so many percent",
	 parse_policy, AT(prefetch), .policy = GM_POLICY_PREFETCH},
	{"GMEM_EVICT", "--evict", "HOW", "lru2m",
	 "lru2m, lru4k, tree, tree:1 .. tree:100, access, adaptive",
	 "what goes home when the device is full: the oldest 2 MiB, or pages; tree: the oldest 64 "
	 "KiB and what is then emptier than so many percent; access: 2 MiB that the device does "
	 "not use",
	 parse_policy, AT(evict), .policy = GM_POLICY_EVICT},
	{"GMEM_PLACEMENT", "--placement", "HOW", "migrate",
	 "migrate, first-use, remote, duplicate, copy, counted",
	 "where a page is after a device's touch: there; there for good; on the host, over the "
	 "bus; readers' copies; copied in and out by each launch; on the host until it is hot",
	 parse_policy, AT(placement), .policy = GM_POLICY_PLACEMENT},
	{"GMEM_THRASH", "--thrash", "HOW", "pin:500",
	 "none, throttle, pin, and with a time in us: throttle:1 .. throttle:100000, pin:1 .. "
	 "pin:100000",
	 "pages that go back and forth within 500 us (or that time): let them; let each side have "
	 "them so long; and keep the worst on the host, 300 times as long",
	 parse_policy, AT(thrash), .policy = GM_POLICY_THRASH},
	{"GMEM_RESIDENCE", "--residence", "HOW", "none", "none, keep, keep:1 .. keep:1000",
	 "how long a page that has come to a device stays there at least: no time; 5 ms, or that "
	 "many: "
	 "who wants it waits, and eviction takes others while there are any",
	 parse_policy, AT(residence), .policy = GM_POLICY_RESIDENCE},
	{"GMEM_POLICY", "--policy", "FILE.so", "", "a shared object that defines gm_policy",
	 "a policy of one's own, in the place of --prefetch and --evict: what a device fault "
	 "brings "
	 "along, and what goes home (docs/policies.md)",
	 parse_plugin, .offset = 0},
	{"GMEM_RECLAIM", "--reclaim", "PERCENT", "0", "0 to 50",
	 "a device that has to evict gets so much of its memory freed in the background, from half "
	 "of that on",
	 parse_percent, AT(reclaim_percent)},
	{"GMEM_SHARE", "--share", "NAME", "", "up to 31 letters, digits, '-', '_' and '.'",
	 "the memory of each device is that of all processes with this name: who has the most of "
	 "it gives "
	 "when another one needs some (docs/sharing.md)",
	 parse_share, .offset = 0},
	{"GMEM_WATCHDOG", "--watchdog", "SECONDS", "0", "a whole number, 0: never",
	 "a device process that does not answer for so long (it is stopped, or broken) is ended "
	 "and taken for lost",
	 parse_count, AT(watchdog_s)},
	{"GMEM_FAULT", "--fault", "HOW", "sigsegv", "sigsegv, uffd",
	 "how the CPU's page faults are caught: by a signal, or by userfaultfd where the kernel "
	 "permits it",
	 parse_word, AT(fault), fault_words},
	{"GMEM_FOREIGN", "--foreign", "HOW", "shared", "coherent, shared, copy, none",
	 "what kernels may do with memory that is not managed: coherent: work in place; shared: "
	 "only on what is "
	 "shared (files, shm), and in OpenMP regions on copies of globals and stacks; copy: "
	 "regions "
	 "on copies of all; none: nothing",
	 parse_word, AT(foreign), foreign_words},
	{"GMEM_THROTTLE", "--throttle", "0|1", "0", "0, 1",
	 "1: wait in real time as long as the device model says", parse_bool, AT(throttle)},
	{"GMEM_LIMIT", "--limit", "LIST", "",
	 "time=SECONDS, faults=N, bytes=BYTES, one or several of them, and end, separated by ','",
	 "what is reached first ends the simulation: of seconds since the program's start, faults "
	 "of "
	 "devices and CPU, bytes moved both ways. All pages go home and stay there; end: the "
	 "program "
	 "gets SIGTERM, too",
	 parse_limit, .offset = 0},
	{"GMEM_SAMPLE", "--sample", "0|1", "1", "0, 1",
	 "0: nobody looks which pages a launch touches; what crosses the bus in place is then not "
	 "modelled",
	 parse_bool, AT(sample)},
	{"GMEM_RETAIN", "--retain", "BYTES", "512M", "bytes: 0, 4096, 64K, 1.5G",
	 "host memory kept behind for pages that went to a device, so that coming home costs less "
	 "(less of it where a control group leaves little)",
	 parse_size, AT(retain_bytes)},
	{"GMEM_REPORT", "--report", "WHERE", "text",
	 "none, text, FILE.json (%p in it: the pid, %r: the MPI rank)",
	 "the report at the end: not at all, to stderr, or to a file; not set: to stderr if a "
	 "device was used",
	 parse_report, AT(report), report_words},
	{"GMEM_TRACE", "--trace", "FILE", "", "a file's name (%p in it: the pid, %r: the MPI rank)",
	 "every fault, migration, launch and so on, one by one, in a file (docs/trace.md)",
	 parse_trace, .offset = 0},
	{"GMEM_RECORD", "--record", "FILE", "",
	 "a file's name (%p in it: the pid, %r: the MPI rank)",
	 "what the first device and the CPU touch, in their order, for gmem-sweep (docs/replay.md)",
	 parse_record, .offset = 0},
	{"GMEM_PROGRESS", "--progress", "WHEN", "none", "none, auto, always",
	 "how far it is, in one line to stderr that is brought up to date: where that is a "
	 "terminal (auto), or always",
	 parse_progress, AT(progress), progress_words},
	{"GMEM_LOG", "--log", "LEVEL", "warn", "none, error, warn, info, debug",
	 "messages to stderr", parse_word, AT(log), log_words},
	{"GMEM_DISABLE", "--disable", "0|1", "0", "0, 1", "1: bypass every hook", parse_bool,
	 AT(disable)},
	{"GMEM_RESTRICT_EXE", "--restrict-exe", "LIST", "", "names or paths, separated by ':'",
	 "only these programs are managed; not set: all", parse_restrict, AT(restrict_exe)},
	{"GMEM_CHILDREN", "--children", "WHICH", "all", "all, none",
	 "programs started by the program: managed too, or not", parse_word, AT(children),
	 children_words},
	{"GMEM_INJECT", "--inject", "LIST", "",
	 "SITE@N, SITE@N+ or SITE%P, separated by ',', and seed=N",
	 "for tests: the N-th call of a site fails, and all after it, or P of 100 (sites: "
	 "core/sys/inject.h)",
	 parse_inject, .offset = 0},
	{"GMEM_CHAOS", "--chaos", "RATE", "0", "0 to 1000000, and ,seed=N and ,write behind it",
	 "for tests: so many random pages a second go to the device, are read there (write: and "
	 "written, unchanged), or change their place",
	 parse_chaos, .offset = 0},
	{"GMEM_MAIN_PID", NULL, NULL, "0", "a process id",
	 "set by run-with-gmem.sh: the process that always reports; others do when they used a "
	 "device",
	 parse_count, AT(main_pid)},
};

_Static_assert(sizeof(enum gm_log_level) == sizeof(int), "words are stored as int");

static const struct option *find_option(const char *name, size_t n)
{
	for (unsigned i = 0; i < GM_ARRAY_LEN(options); i++) {
		const char *rest = gm_text_after(options[i].name, "GMEM_");
		for (size_t k = 5; k < n && *rest && *rest == name[k]; k++)
			rest++;
		if (!*rest && length(options[i].name) == n)
			return &options[i];
	}
	return NULL;
}

/* Levenshtein distance of a[0..n) and b. */
static unsigned distance(const char *a, size_t n, const char *b)
{
	unsigned row[32], m = (unsigned)length(b);

	for (unsigned j = 0; j <= m; j++)
		row[j] = j;
	for (size_t i = 0; i < n; i++) {
		unsigned diagonal = row[0];
		row[0] = (unsigned)i + 1;
		for (unsigned j = 0; j < m; j++) {
			unsigned replaced = diagonal + (a[i] != b[j]);
			diagonal = row[j + 1];
			row[j + 1] = gm_min(replaced, gm_min(row[j], row[j + 1]) + 1);
		}
	}
	return row[m];
}

/* One line: the name, the nearest one if it may be a slip, and all that there are. */
static void unknown(const char *name, size_t n, char *err, size_t err_bytes)
{
	const struct option *best = NULL;
	size_t suffix = n > 5 ? n - 5 : 0;
	unsigned least = (unsigned)gm_min(suffix / 2 + 1, (size_t)5); /* further away is no slip */
	char list[600];
	size_t at = 0;

	list[0] = 0;
	for (unsigned i = 0; i < GM_ARRAY_LEN(options); i++) {
		const struct option *o = &options[i];
		unsigned d = n < 64 ? distance(name, n, o->name) : least;
		if (!o->flag)
			continue;
		if (d < least) {
			least = d;
			best = o;
		}
		at += (size_t)gmi_snprintf(list + at, sizeof list - at, "%s%s", at ? ", " : "",
					   o->name);
		at = gm_min(at, sizeof list - 1);
	}
	gmi_snprintf(err, err_bytes, "%.*s is no option%s%s%s; valid: %s", (int)n, name,
		     best ? ", did you mean " : "", best ? best->name : "", best ? "?" : "", list);
}

static int parse_one(const char *entry, char *err, size_t err_bytes)
{
	size_t n = 0;

	while (entry[n] && entry[n] != '=')
		n++;
	const struct option *o = find_option(entry, n);
	if (!o) {
		unknown(entry, n, err, err_bytes);
		return -EINVAL;
	}
	const char *value = entry[n] ? entry + n + 1 : "";
	if (err_bytes)
		err[0] = 0;
	if (o->parse(o, value, err, err_bytes) == 0)
		return 0;
	if (err_bytes && !err[0])
		gmi_snprintf(err, err_bytes, "%s=%.200s is not valid; valid: %s", o->name, value,
			     o->valid);
	return -EINVAL;
}

int gmi_opt_parse(char *const *envp, char *err, size_t err_bytes)
{
	/* a setuid program: the environment is of somebody who must not say where it writes */
	if (getauxval(AT_SECURE))
		envp = NULL;
	find_rank(envp);
	for (; envp && *envp; envp++) {
		if (!gm_text_after(*envp, "GMEM_"))
			continue;
		int r = parse_one(*envp, err, err_bytes);
		if (r)
			return r;
	}
	gmi_log_level = gmi_opt.log;
	if (gmi_opt.main_pid && gmi_opt.main_pid != (int)gm_sys0(SYS_getpid))
		gmi_opt.report_given = false;
	return 0;
}

const char *gmi_opt_flag(const char *flag)
{
	for (unsigned i = 0; i < GM_ARRAY_LEN(options); i++)
		if (options[i].flag && gm_text_same(options[i].flag, flag))
			return options[i].name;
	return NULL;
}

/* ---- help ---- */

static void help_terminal(const struct option *o, void (*out)(const char *line))
{
	char line[512];

	gmi_snprintf(line, sizeof line, "  %s %s   (%s%s%s)", o->flag, o->arg, o->name,
		     *o->deflt ? "; default " : "", o->deflt);
	out(line);
	gmi_snprintf(line, sizeof line, "        %s", o->meaning);
	out(line);
	gmi_snprintf(line, sizeof line, "        valid: %s", o->valid);
	out(line);
}

/* In a table cell | ends the cell, also inside code. */
static void help_markdown(const struct option *o, void (*out)(const char *line))
{
	char line[600], arg[32];
	size_t at = 0;

	for (const char *s = o->arg; *s && at + 2 < sizeof arg; s++) {
		if (*s == '|')
			arg[at++] = '\\';
		arg[at++] = *s;
	}
	arg[at] = 0;
	gmi_snprintf(line, sizeof line, "| `%s` | `%s %s` | %s%s%s | %s | %s |", o->name, o->flag,
		     arg, *o->deflt ? "`" : "", o->deflt, *o->deflt ? "`" : "", o->valid,
		     o->meaning);
	out(line);
}

void gmi_opt_help(void (*out)(const char *line), bool markdown)
{
	if (markdown) {
		out("| variable | flag of run-with-gmem.sh | default | valid | meaning |");
		out("|---|---|---|---|---|");
	}
	for (unsigned i = 0; i < GM_ARRAY_LEN(options); i++)
		if (options[i].flag)
			(markdown ? help_markdown : help_terminal)(&options[i], out);
}
