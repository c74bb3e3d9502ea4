/* system.c - rows of calls about the machine as a whole. What would change it is called so that
 * it is refused, or in a namespace of this process's own. */
#include <linux/bpf.h>
#include <linux/keyctl.h>
#include <linux/landlock.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>

#include "rows.h"

ROW(syslog)
{
	char *b = opaque(3 * PAGE);

	b[0] = 1;
	DONE(syslog, 3 /* SYSLOG_ACTION_READ_ALL */, b, 3 * PAGE);
	say("a line: %d", b[0] == '<');
	CALL(syslog, 3, b, -1);
	CALL(syslog, 3, (void *)8, 100);
}

#define NAME_OF_NAMESPACE(call, field)                                                             \
	do {                                                                                       \
		char *name = str("a-name-of-this-test");                                           \
		struct utsname u;                                                                  \
		int own = unshare(CLONE_NEWUTS);                                                   \
		CALL(call, name, 65); /* too long */                                               \
		if (own)                                                                           \
			return;                                                                    \
		CALL(call, name, strlen(name));                                                    \
		uname(&u);                                                                         \
		say("now %s", u.field);                                                            \
		FAULTS(call, name, strlen(name));                                                  \
	} while (0)

ROW(sethostname)
{
	NAME_OF_NAMESPACE(sethostname, nodename);
}

ROW(setdomainname)
{
	NAME_OF_NAMESPACE(setdomainname, domainname);
}

ROW(getrandom)
{
	char *b = memset(opaque(2 * PAGE + 9), 0, 2 * PAGE + 9);
	int zeros = 0;

	CALL(getrandom, b, 2 * PAGE + 9, 0);
	for (size_t i = 0; i < 2 * PAGE + 9; i++)
		zeros += !b[i];
	say("written: %d", zeros < 200);
	FAULTS(getrandom, b, 100, 0);
	CALL(getrandom, b, 10, 0xff00);
}

/* ---- keys ---- */

#define MINE -2 /* KEY_SPEC_PROCESS_KEYRING */

static long new_key(const char *name, const char *value, size_t n)
{
	return syscall(SYS_add_key, "user", name, value, n, MINE);
}

ROW(add_key)
{
	char *type = str("user"), *name = str("a-key-of-this-test"), *value = out(2000), got[4000];
	long key = DONE(add_key, type, name, value, 2000, MINE);

	long n = syscall(SYS_keyctl, KEYCTL_READ, key, got, sizeof(got));
	say("%ld %d", n, !memcmp(got, value, 2000));
	FAULTS(add_key, type, name, value, 2000, MINE);
	CALL(add_key, str("no-such-type"), name, value, 2000, MINE);
}

ROW(request_key)
{
	char *type = str("user"), *name = str("a-key-of-this-test"), *more = str("what-to-say");
	long key = new_key(name, "v", 1);

	say("found: %d", TRY(request_key, type, name, NULL, MINE) == key);
	say("found: %d", TRY(request_key, type, name, more, MINE) == key);
	FAULTS(request_key, type, name, more, MINE);
	CALL(request_key, type, str("no-such-key"), NULL, MINE);
}

ROW(keyctl)
{
	char *type = str("user"), *name = str("key-of-keyctl"), *value = out(1500), *b = out(2000),
	     *bits = opaque(16);
	long key = new_key(name, "v", 1),
	     ring = syscall(SYS_add_key, "keyring", "a-keyring", NULL, 0, MINE);

	CALL(keyctl, KEYCTL_UPDATE, key, value, 1500);
	CALL(keyctl, KEYCTL_READ, key, b, 2000);
	FAULTS(keyctl, KEYCTL_UPDATE, key, value, 1500);
	FAULTS(keyctl, KEYCTL_READ, key, b, 2000);
	CALL(keyctl, KEYCTL_DESCRIBE, key, b, 2000);
	FAULTS(keyctl, KEYCTL_DESCRIBE, key, b, 2000);
	say("found: %d", TRY(keyctl, KEYCTL_SEARCH, MINE, type, name, 0) == key);
	FAULTS(keyctl, KEYCTL_SEARCH, MINE, type, name, 0);
	CALL(keyctl, KEYCTL_GET_SECURITY, key, b, 2000);
	CALL(keyctl, KEYCTL_RESTRICT_KEYRING, ring, str("no-such-type"), str("no-restriction"));
	CALL(keyctl, KEYCTL_INSTANTIATE, key, value, 100, 0);
	CALL(keyctl, KEYCTL_INSTANTIATE_IOV, key, IOVS({value, 100}, {value + 100, 100}), 2, 0);
	CALL(keyctl, KEYCTL_CAPABILITIES, bits, 16);
	DONE(keyctl, KEYCTL_JOIN_SESSION_KEYRING, str("a-session-of-this-test"));
	int *dh = opaque_in((int[3]){(int)key, (int)key, (int)key}, 12);
	DONE(keyctl, KEYCTL_DH_COMPUTE, dh, b, 0, 0);
	CALL(keyctl, KEYCTL_REVOKE, key);
}

/* ---- bpf, perf, landlock ---- */

ROW(bpf)
{
	union bpf_attr *a = memset(opaque(sizeof(*a)), 0, sizeof(*a));
	int *key = IN(int, 3);
	char *value = out(2000), *got = out(2000), *log = opaque(8000);

	a->map_type = BPF_MAP_TYPE_HASH, a->key_size = 4, a->value_size = 2000, a->max_entries = 10;
	int map = (int)DONE(bpf, BPF_MAP_CREATE, a, sizeof(*a));
	FAULTS(bpf, BPF_MAP_CREATE, a, sizeof(*a));
	memset(a, 0, sizeof(*a));
	a->map_fd = (unsigned)map, a->key = (uintptr_t)key, a->value = (uintptr_t)value;
	CALL(bpf, BPF_MAP_UPDATE_ELEM, a, sizeof(*a));
	a->value = (uintptr_t)got;
	CALL(bpf, BPF_MAP_LOOKUP_ELEM, a, sizeof(*a));
	a->value = 8;
	CALL(bpf, BPF_MAP_LOOKUP_ELEM, a, sizeof(*a));
	struct bpf_map_info *info = memset(opaque(sizeof(*info)), 0, sizeof(*info));
	memset(a, 0, sizeof(*a));
	a->info.bpf_fd = (unsigned)map, a->info.info_len = sizeof(*info),
	a->info.info = (uintptr_t)info;
	CALL(bpf, BPF_OBJ_GET_INFO_BY_FD, a, sizeof(*a));
	say("value of %u bytes", info->value_size);
	struct bpf_insn *code = in((struct bpf_insn[]){{0xb7, 0, 0, 0, 0}, {0x95, 0, 0, 0, 0}}, 16);
	memset(a, 0, sizeof(*a));
	a->prog_type = BPF_PROG_TYPE_SOCKET_FILTER, a->insn_cnt = 2, a->insns = (uintptr_t)code;
	a->license = (uintptr_t)str("GPL"), a->log_buf = (uintptr_t)log, a->log_size = 8000,
	a->log_level = 1;
	log[0] = 1;
	int prog = (int)DONE(bpf, BPF_PROG_LOAD, a, sizeof(*a));
	say("log: %d", log[0] != 1);
	a->insns = 8;
	CALL(bpf, BPF_PROG_LOAD, a, sizeof(*a));
	memset(a, 0, sizeof(*a));
	a->btf = (uintptr_t)value, a->btf_size = 2000;
	CALL(bpf, BPF_BTF_LOAD, a, 32);
	close_all(2, (int[]){prog, map});
}

ROW(perf_event_open)
{
	struct perf_event_attr *a =
		OPAQUE(struct perf_event_attr, .type = PERF_TYPE_SOFTWARE, .size = sizeof(*a),
		       .config = PERF_COUNT_SW_DUMMY, .exclude_kernel = 1);
	int fd = (int)DONE(perf_event_open, a, 0, -1, -1, 0);

	FAULTS(perf_event_open, a, 0, -1, -1, 0);
	if (fd >= 0) {
		CALL(ioctl, fd, PERF_EVENT_IOC_SET_FILTER, str("no filter of this event"));
		uint64_t *count = out(8);
		CALL(read, fd, count, 8);
	}
	a->size = 5;
	CALL(perf_event_open, a, 0, -1, -1, 0); /* writes the size that it wants */
	close(fd);
}

ROW(landlock_create_ruleset)
{
	uint64_t *a = in((uint64_t[2]){4, 0}, 16);
	int fd = (int)DONE(landlock_create_ruleset, a, 8, 0);

	FAULTS(landlock_create_ruleset, a, 8, 0);
	CALL(landlock_create_ruleset, a, 3, 0);
	close(fd);
}

ROW(landlock_add_rule)
{
	uint64_t files = 4 /* LANDLOCK_ACCESS_FS_READ_FILE */;
	int set = (int)syscall(SYS_landlock_create_ruleset, &files, 8, 0), at = open(".", O_PATH);
	struct landlock_path_beneath_attr *rule =
		IN(struct landlock_path_beneath_attr, .allowed_access = 4, .parent_fd = at);

	CALL(landlock_add_rule, set, LANDLOCK_RULE_PATH_BENEATH, rule, 0);
	FAULTS(landlock_add_rule, set, LANDLOCK_RULE_PATH_BENEATH, rule, 0);
	close_all(2, (int[]){set, at});
}

/* ---- what must be refused ---- */

ROW(init_module)
{
	char *image = out(3 * PAGE), *options = str("an=option");

	REFUSED(init_module, image, 3 * PAGE, options); /* no module at all */
}

ROW(finit_module)
{
	int fd = file_with("file", 3 * PAGE);
	char *options = str("an=option");

	REFUSED(finit_module, fd, options, 0);
	close(fd);
}

ROW(delete_module)
{
	char *name = str("no_module_has_this_name");

	REFUSED(delete_module, name, O_NONBLOCK);
}

ROW(kexec_load)
{
	void **segment = memset(opaque(32), 0, 32);

	REFUSED(kexec_load, 0, 1, segment, 0x8000 /* no such flag */);
}

ROW(kexec_file_load)
{
	char *command = str("command");

	REFUSED(kexec_file_load, -1, -1, strlen(command) + 1, command, 0x8000 /* no such flag */);
}

ROW(reboot)
{
	char *what = str("nothing");

	CALL(reboot, 1, 2, 3, what); /* no magic numbers */
}

ROW(modify_ldt)
{
	char *table = out(PAGE);
	unsigned *entry = in((unsigned[4]){1000000}, 16);

	CALL(modify_ldt, 0, table, PAGE);
	CALL(modify_ldt, 2, table, PAGE);
	FAULTS(modify_ldt, 2, table, PAGE);
	REFUSED(modify_ldt, 1, entry, 16); /* no such entry */
}

ROW(sysfs)
{
	char *name = str("tmpfs"), *b = out(256);

	DONE(sysfs, 1, name);
	DONE(sysfs, 2, 0, b);
}

ROW(uselib)
{
	REFUSED(uselib, str("no-such-library"));
}

#define CURRENT 100 /* LSM_ATTR_CURRENT */

ROW(lsm_get_self_attr)
{
	char *context = opaque(PAGE);
	uint32_t *size = OPAQUE(uint32_t, PAGE);

	DONE(lsm_get_self_attr, CURRENT, context, size, 0);
	*size = 1;
	DONE(lsm_get_self_attr, CURRENT, context, size, 0);
	FAULTS(lsm_get_self_attr, CURRENT, context, size, 0);
}

ROW(lsm_set_self_attr)
{
	char *context = memset(out(64), 0, 64);

	REFUSED(lsm_set_self_attr, CURRENT, context, 64, 0); /* of no module */
}

ROW(lsm_list_modules)
{
	uint64_t *ids = out(8 * 20);
	uint32_t *size = IN(uint32_t, 8 * 20);

	CALL(lsm_list_modules, ids, size, 0);
	*size = 1;
	CALL(lsm_list_modules, ids, size, 0);
	FAULTS(lsm_list_modules, ids, size, 0);
}

const struct row system_rows[] = {
	R(syslog),
	R(sethostname),
	R(setdomainname),
	R(getrandom),
	R(add_key),
	R(request_key),
	R(keyctl),
	R(bpf),
	R(perf_event_open),
	R(landlock_create_ruleset),
	R(landlock_add_rule),
	R(init_module),
	R(finit_module),
	R(delete_module),
	R(kexec_load),
	R(kexec_file_load),
	R(reboot),
	R(modify_ldt),
	R(sysfs),
	R(uselib),
	R(lsm_get_self_attr),
	R(lsm_set_self_attr),
	R(lsm_list_modules),
	{0},
};
