/* The option table: every variable parses as documented, and every slip is answered with one
 * helpful line. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "core/rules/opt.h"

static char err[600];

static int parse(const char *entry)
{
	char *env[] = {(char *)"PATH=/bin", (char *)entry, NULL};

	err[0] = 0;
	return gmi_opt_parse(env, err, sizeof err);
}

static void refused(const char *entry, const char *named, const char *valid)
{
	cr_assert_neq(parse(entry), 0, "%s was accepted", entry);
	cr_assert(strstr(err, named), "'%s' does not name %s", err, named);
	cr_assert(strstr(err, valid), "'%s' does not say %s", err, valid);
	cr_assert_not(strchr(err, '\n'));
}

Test(opt, nothing_set_is_the_documented_default)
{
	struct gm_options before = gmi_opt;
	char *env[] = {(char *)"PATH=/bin", NULL};

	cr_assert_eq(gmi_opt_parse(env, err, sizeof err), 0);
	cr_assert_eq(memcmp(&before, &gmi_opt, sizeof before), 0);
	cr_assert_eq(gmi_opt.ndev, 1);
	cr_assert_str_eq(gmi_opt.device[0], "pcie4-gpu");
	cr_assert_not(gmi_opt.report_given);
}

/* A line of the table: | `GMEM_X` | `--x N` | `default` | valid | meaning | */
static int shown;
static void parse_shown_default(const char *line)
{
	char name[64], value[64], entry[160];

	if (sscanf(line, "| `%63[^`]` | `%*[^`]` | `%63[^`]` |", name, value) != 2 ||
	    !strcmp(name, "GMEM_REPORT"))
		return; /* to give the report's default is more than its default */
	snprintf(entry, sizeof entry, "%s=%s", name, value);
	cr_assert_eq(parse(entry), 0, "%s: %s", entry, err);
	shown++;
}

Test(opt, shown_defaults_are_the_real_ones)
{
	struct gm_options before = gmi_opt;

	gmi_opt_help(parse_shown_default, true);
	cr_assert_eq(shown, 20);
	cr_assert_eq(memcmp(&before, &gmi_opt, sizeof before), 0);
}

Test(opt, limits)
{
	cr_assert_eq(parse("GMEM_LIMIT=time=1.5,faults=1000,bytes=2G,end"), 0, "%s", err);
	cr_expect(gmi_opt.limited && gmi_opt.limit_end);
	cr_expect_eq(gmi_opt.limit_ns, 1500000000);
	cr_expect_eq(gmi_opt.limit_faults, 1000);
	cr_expect_eq(gmi_opt.limit_bytes, (uint64_t)2 << 30);
	cr_assert_eq(parse("GMEM_LIMIT=faults=7"), 0, "%s", err);
	cr_expect(!gmi_opt.limit_end && !gmi_opt.limit_ns && gmi_opt.limit_faults == 7);
	static const char *const bad[] = {"",		"end",	     "time=",	  "time=0",
					  "faults=1.5", "faults=0",  "bytes=1.5", "bytes=x",
					  "faults=1,",	",faults=1", "fault=1",	  "faults=1;end"};
	for (unsigned i = 0; i < GM_ARRAY_LEN(bad); i++) {
		char entry[64];
		snprintf(entry, sizeof entry, "GMEM_LIMIT=%s", bad[i]);
		refused(entry, "GMEM_LIMIT", "time=SECONDS");
	}
}

Test(opt, devices)
{
	cr_assert_eq(parse("GMEM_DEVICE=none"), 0);
	cr_assert_eq(gmi_opt.ndev, 0);
	cr_assert_eq(parse("GMEM_DEVICE=pcie3-gpu,mem=1G,page=64K,workers=2;npu"), 0, "%s", err);
	cr_assert_eq(gmi_opt.ndev, 2);
	cr_assert_str_eq(gmi_opt.device[0], "pcie3-gpu,mem=1G,page=64K,workers=2");
	cr_assert_str_eq(gmi_opt.device[1], "npu");
	refused("GMEM_DEVICE=", "GMEM_DEVICE", "none, or profile");
	refused("GMEM_DEVICE=a;", "GMEM_DEVICE", "none, or profile");
	refused("GMEM_DEVICE=a,mem", "GMEM_DEVICE", "none, or profile");
	refused("GMEM_DEVICE=a,mem=", "GMEM_DEVICE", "none, or profile");
	refused("GMEM_DEVICE=a;a;a;a;a;a;a;a;a", "GMEM_DEVICE", "more than 8");
}

static int no_such_profile(const char *spec, char *e, size_t bytes)
{
	gmi_snprintf(e, bytes, "no profile %s; valid: x", spec);
	return -1;
}

Test(opt, the_driver_has_a_say_in_devices)
{
	gmi_opt_check_device = no_such_profile;
	refused("GMEM_DEVICE=foo", "GMEM_DEVICE: no profile foo", "valid: x");
}

Test(opt, words_and_numbers)
{
	cr_assert_eq(parse("GMEM_OFFLOAD=none"), 0);
	cr_assert_not(gmi_opt.offload_blas);
	cr_assert_eq(parse("GMEM_OFFLOAD=blas,openmp"), 0);
	cr_assert(gmi_opt.offload_blas && gmi_opt.offload_openmp && !gmi_opt.openmp_regex[0]);
	cr_assert_eq(parse("GMEM_OFFLOAD=openmp:^(a,b|c)"), 0);
	cr_assert(!gmi_opt.offload_blas && gmi_opt.offload_openmp);
	cr_assert_str_eq(gmi_opt.openmp_regex, "^(a,b|c)");
	cr_assert_eq(parse("GMEM_OFFLOAD=openmp,blas"), 0);
	cr_assert(gmi_opt.offload_blas && gmi_opt.offload_openmp && !gmi_opt.openmp_regex[0]);
	cr_assert_eq(parse("GMEM_BLAS_MIN=12.5"), 0);
	cr_assert_float_eq(gmi_opt.blas_min, 12.5, 1e-9);
	cr_assert_eq(parse("GMEM_PREFETCH=none"), 0);
	cr_assert_eq(gmi_opt.prefetch, GM_PREFETCH_NONE);
	cr_assert_eq(parse("GMEM_PREFETCH=tree:100"), 0);
	cr_assert_eq(gmi_opt.prefetch, GM_PREFETCH_TREE);
	cr_assert_eq(gmi_opt.policy_number[GM_POLICY_PREFETCH], 100);
	cr_assert_eq(parse("GMEM_EVICT=lru4k"), 0);
	cr_assert_eq(gmi_opt.evict, GM_EVICT_LRU4K);
	cr_assert_eq(parse("GMEM_THROTTLE=1"), 0);
	cr_assert(gmi_opt.throttle);
	cr_assert_eq(parse("GMEM_RETAIN=1.5G"), 0);
	cr_assert_eq(gmi_opt.retain_bytes, 3ull << 29);
	cr_assert_eq(parse("GMEM_LOG=debug"), 0);
	cr_assert_eq(gmi_log_level, GM_LOG_DEBUG);
	cr_assert_eq(parse("GMEM_DISABLE=1"), 0);
	cr_assert(gmi_opt.disable);
	cr_assert_eq(parse("GMEM_CHILDREN=none"), 0);
	cr_assert_eq(gmi_opt.children, GM_CHILDREN_NONE);
	cr_assert_eq(parse("GMEM_CHAOS=3000"), 0);
	cr_assert(gmi_opt.chaos_rate == 3000 && !gmi_opt.chaos_write && !gmi_opt.chaos_seed);
	cr_assert_eq(parse("GMEM_CHAOS=500,seed=7,write"), 0);
	cr_assert(gmi_opt.chaos_rate == 500 && gmi_opt.chaos_write && gmi_opt.chaos_seed == 7);
	cr_assert_eq(parse("GMEM_CHAOS=0"), 0);
	cr_assert_eq(gmi_opt.chaos_rate, 0);
	cr_assert_eq(parse("GMEM_RESTRICT_EXE=python3:/usr/bin/R"), 0);
	cr_assert_str_eq(gmi_opt.restrict_exe, "python3:/usr/bin/R");
}

Test(opt, bad_values_name_the_variable_and_the_valid_ones)
{
	refused("GMEM_OFFLOAD=gpu", "GMEM_OFFLOAD=gpu", "none, blas, openmp, openmp:REGEX");
	refused("GMEM_OFFLOAD=", "GMEM_OFFLOAD=", "none, blas");
	refused("GMEM_OFFLOAD=blas,none", "GMEM_OFFLOAD=blas,none", "none, blas");
	refused("GMEM_OFFLOAD=blas,", "GMEM_OFFLOAD=blas,", "none, blas");
	refused("GMEM_OFFLOAD=openmp:", "GMEM_OFFLOAD=openmp:", "openmp:REGEX");
	refused("GMEM_OFFLOAD=openmpx", "GMEM_OFFLOAD=openmpx", "openmp:REGEX");
	refused("GMEM_BLAS_MIN=-1", "GMEM_BLAS_MIN", "0 or more");
	refused("GMEM_BLAS_MIN=5x", "GMEM_BLAS_MIN", "0 or more");
	refused("GMEM_PREFETCH=tree:0", "GMEM_PREFETCH", "tree:100");
	refused("GMEM_PREFETCH=tree:101", "GMEM_PREFETCH", "seq64k");
	refused("GMEM_PREFETCH=tree:", "GMEM_PREFETCH", "seq64k");
	refused("GMEM_EVICT=fifo", "GMEM_EVICT", "lru2m, lru4k");
	refused("GMEM_EVICT=lru4k:50", "GMEM_EVICT", "lru2m, lru4k");
	refused("GMEM_PLACEMENT=here", "GMEM_PLACEMENT", "migrate, first-use");
	refused("GMEM_THRASH=maybe", "GMEM_THRASH", "none, throttle");
	refused("GMEM_FAULT=trap", "GMEM_FAULT", "sigsegv, uffd");
	refused("GMEM_THROTTLE=yes", "GMEM_THROTTLE", "0, 1");
	refused("GMEM_RETAIN=lots", "GMEM_RETAIN", "64K");
	refused("GMEM_REPORT=report.txt", "GMEM_REPORT", "FILE.json");
	refused("GMEM_REPORT=.json", "GMEM_REPORT", "FILE.json");
	refused("GMEM_LOG", "GMEM_LOG", "debug");
	refused("GMEM_DISABLE=2", "GMEM_DISABLE", "0, 1");
	refused("GMEM_CHILDREN=some", "GMEM_CHILDREN", "all, none");
	refused("GMEM_INJECT=heaven@1", "GMEM_INJECT", "SITE@N");
	refused("GMEM_CHAOS=fast", "GMEM_CHAOS", "0 to 1000000");
	refused("GMEM_CHAOS=10,read", "GMEM_CHAOS", "seed=N");
	refused("GMEM_CHAOS=10,seed=", "GMEM_CHAOS", "seed=N");
	refused("GMEM_CHAOS=10,writes", "GMEM_CHAOS", "seed=N");
	refused("GMEM_CHAOS=1.5", "GMEM_CHAOS", "0 to 1000000");
	refused("GMEM_MAIN_PID=me", "GMEM_MAIN_PID", "process id");
}

Test(opt, unknown_names_get_a_suggestion_and_the_list)
{
	refused("GMEM_DEVICES=none", "GMEM_DEVICES is no option", "did you mean GMEM_DEVICE?");
	refused("GMEM_OFLOAD=none", "GMEM_OFLOAD", "GMEM_OFFLOAD?");
	refused("GMEM_=1", "GMEM_ is no option", "GMEM_CHILDREN");
	refused("GMEM_COMPLETELY_ELSE=1", "GMEM_COMPLETELY_ELSE",
		"valid: GMEM_DEVICE, GMEM_OFFLOAD");
	cr_assert_null(strstr(err, "did you mean"));
	cr_assert_eq(parse("GMEMX=1"), 0, "a name that is not ours");
}

Test(opt, report_files_are_absolute_and_may_name_the_pid)
{
	char want[1200], cwd[1024];

	cr_assert_eq(parse("GMEM_REPORT=/tmp/a.json"), 0);
	cr_assert_str_eq(gmi_opt.report_file, "/tmp/a.json");
	cr_assert_eq(gmi_opt.report, GM_REPORT_JSON);
	cr_assert(gmi_opt.report_given);
	cr_assert(getcwd(cwd, sizeof cwd));
	cr_assert_eq(parse("GMEM_REPORT=r-%p.json"), 0);
	snprintf(want, sizeof want, "%s/r-%d.json", cwd, getpid());
	cr_assert_str_eq(gmi_opt.report_file, want);
	cr_assert_eq(parse("GMEM_REPORT=none"), 0);
	cr_assert_eq(gmi_opt.report, GM_REPORT_NONE);
	char huge[2000] = "GMEM_REPORT=/";
	memset(huge + strlen(huge), 'x', 1500);
	strcpy(huge + strlen("GMEM_REPORT=/") + 1500, ".json");
	refused(huge, "GMEM_REPORT", "longer");
}

static void parsed_as_rank(char *const *env, const char *rank, const char *file)
{
	char err[512];

	memset(&gmi_opt.rank, 0, sizeof gmi_opt.rank);
	cr_assert_eq(gmi_opt_parse(env, err, sizeof err), 0);
	cr_assert_str_eq(gmi_opt.rank, rank);
	cr_assert_str_eq(gmi_opt.report_file, file);
}

Test(opt, processes_of_an_mpi_program_name_their_files_by_rank)
{
	char pid[32];
	char *file = (char *)"GMEM_REPORT=/r-%r.json";

	parsed_as_rank((char *[]){file, (char *)"PMI_RANK=7", NULL}, "7", "/r-7.json");
	/* mpirun in a task of Slurm's: the inner launcher counts */
	parsed_as_rank(
		(char *[]){file, (char *)"SLURM_PROCID=0", (char *)"OMPI_COMM_WORLD_RANK=12", NULL},
		"12", "/r-12.json");
	/* without one, and with what is no number: by the pid */
	snprintf(pid, sizeof pid, "/r-%d.json", getpid());
	parsed_as_rank((char *[]){file, NULL}, "", pid);
	parsed_as_rank((char *[]){file, (char *)"PMIX_RANK=../x", NULL}, "", pid);
	parsed_as_rank((char *[]){file, (char *)"PMIX_RANK=", NULL}, "", pid);
	parsed_as_rank((char *[]){file, (char *)"PMIX_RANK=1234567890123", NULL}, "", pid);
}

Test(opt, only_the_main_process_reports_whatever_it_did)
{
	char *env[] = {(char *)"GMEM_REPORT=text", (char *)"GMEM_MAIN_PID=1", NULL};
	char self[40];

	cr_assert_eq(gmi_opt_parse(env, err, sizeof err), 0);
	cr_assert_not(gmi_opt.report_given);
	snprintf(self, sizeof self, "GMEM_MAIN_PID=%d", getpid());
	env[1] = self;
	cr_assert_eq(gmi_opt_parse(env, err, sizeof err), 0);
	cr_assert(gmi_opt.report_given);
}

Test(opt, bytes)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {{"0", 0},		{"4096", 4096},	    {"64K", 65536},	{"64k", 65536},
		    {"1M", 1 << 20},	{"1.5K", 1536},	    {"0.5G", 1u << 29}, {".25M", 1 << 18},
		    {"2T", 2ull << 40}, {"1.G", 1ull << 30}};
	static const char *const bad[] = {"",
					  "K",
					  ".",
					  "1.5",
					  "1KB",
					  "-1",
					  "1 K",
					  "0x10",
					  "1P",
					  "99999999999999999999",
					  "99999999999T"};
	uint64_t bytes;

	for (size_t i = 0; i < GM_ARRAY_LEN(good); i++) {
		cr_assert_eq(gmi_parse_bytes(good[i].text, &bytes), 0, "%s", good[i].text);
		cr_assert_eq(bytes, good[i].bytes, "%s", good[i].text);
	}
	for (size_t i = 0; i < GM_ARRAY_LEN(bad); i++)
		cr_assert_neq(gmi_parse_bytes(bad[i], &bytes), 0, "%s", bad[i]);
}

static int lines;
static void count_line(const char *line)
{
	lines++;
	cr_assert_not(strchr(line, '\n'));
	cr_assert_null(strstr(line, "GMEM_MAIN_PID"));
}

Test(opt, help_has_every_option_and_flags_lead_to_variables)
{
	gmi_opt_help(count_line, true);
	cr_assert_eq(lines, 2 + 28);
	lines = 0;
	gmi_opt_help(count_line, false);
	cr_assert_eq(lines, 3 * 28);
	cr_assert_str_eq(gmi_opt_flag("--blas-min"), "GMEM_BLAS_MIN");
	cr_assert_null(gmi_opt_flag("--blas"));
}
