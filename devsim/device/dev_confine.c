/*
 * dev_confine.c - what a kernel cannot do, whatever its code: kernels are other people's programs,
 * and they run beside the program that started us, as the same user.
 *
 * Once, before any thread starts: no new privileges; no file is opened for writing, made or
 * removed (Landlock; but for /dev/shm, where runtimes such as libomp meet, and devices such as
 * /dev/null); nothing is executed, no other process is signalled, traced or written to (seccomp).
 * A kernel without Landlock (before 5.13) leaves the files open: said by nobody, as nothing of
 * the program depends on it.
 */
#include "devsim/device/dev.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- files ---- */

#define FILE_WRITES (LANDLOCK_ACCESS_FS_WRITE_FILE)
#define TREE_CHANGES                                                                               \
	(LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |                          \
	 LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR |                              \
	 LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |                              \
	 LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |                            \
	 LANDLOCK_ACCESS_FS_MAKE_SYM)

static const struct {
	const char *path;
	uint64_t access;
} writable[] = {
	{"/dev/shm", FILE_WRITES | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE},
	{"/dev/null", FILE_WRITES},
	{"/dev/zero", FILE_WRITES},
	{"/dev/tty", FILE_WRITES},
};

static void confine_files(void)
{
	struct landlock_ruleset_attr attr = {
		.handled_access_fs = FILE_WRITES | TREE_CHANGES | LANDLOCK_ACCESS_FS_EXECUTE,
	};
	int rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);

	if (rules < 0)
		return;
	for (unsigned i = 0; i < DEV_ARRAY_LEN(writable); i++) {
		struct landlock_path_beneath_attr rule = {
			.allowed_access = writable[i].access,
			.parent_fd = open(writable[i].path, O_PATH | O_CLOEXEC),
		};
		if (rule.parent_fd < 0)
			continue;
		syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
		close(rule.parent_fd);
	}
	syscall(SYS_landlock_restrict_self, rules, 0);
	close(rules);
}

/* ---- system calls ---- */

/* Never. */
static const uint16_t refused[] = {
	SYS_execve,
	SYS_execveat,
	SYS_ptrace,
	SYS_process_vm_readv,
	SYS_process_vm_writev,
	SYS_process_madvise,
	SYS_pidfd_send_signal,
	SYS_pidfd_getfd,
	SYS_tkill,
	SYS_kexec_load,
	SYS_kexec_file_load,
	SYS_init_module,
	SYS_finit_module,
	SYS_delete_module,
	SYS_reboot,
	SYS_mount,
	SYS_umount2,
	SYS_pivot_root,
	SYS_chroot,
	SYS_swapon,
	SYS_swapoff,
	SYS_settimeofday,
	SYS_clock_settime,
	SYS_sethostname,
	SYS_setns,
	SYS_unshare,
	SYS_bpf,
	SYS_userfaultfd,
	SYS_io_uring_setup,
};
/* To this process only: the first argument. */
static const uint16_t to_self[] = {SYS_kill, SYS_tgkill, SYS_rt_sigqueueinfo,
				   SYS_rt_tgsigqueueinfo};

#define REFUSED	 (SECCOMP_RET_ERRNO | EPERM)
#define FIELD(f) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, f))
/* Equal: on to the next statement, which is skipped otherwise. */
#define UNLESS(value) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, 1)
#define RETURN(what)  BPF_STMT(BPF_RET | BPF_K, (what))

static bool confine_calls(void)
{
	struct sock_filter f[2 * DEV_ARRAY_LEN(refused) + 5 * DEV_ARRAY_LEN(to_self) + 16];
	unsigned short n = 0;

	/* The x32 calls have numbers of their own; nobody here makes them. */
	f[n++] = (struct sock_filter)FIELD(arch);
	f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
	f[n++] = (struct sock_filter)RETURN(REFUSED);
	f[n++] = (struct sock_filter)FIELD(nr);
	f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1);
	f[n++] = (struct sock_filter)RETURN(REFUSED);
	for (unsigned i = 0; i < DEV_ARRAY_LEN(refused); i++) {
		f[n++] = (struct sock_filter)UNLESS(refused[i]);
		f[n++] = (struct sock_filter)RETURN(REFUSED);
	}
	for (unsigned i = 0; i < DEV_ARRAY_LEN(to_self); i++) {
		f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, to_self[i], 0, 4);
		f[n++] = (struct sock_filter)FIELD(args[0]);
		f[n++] = (struct sock_filter)UNLESS((uint32_t)getpid());
		f[n++] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
		f[n++] = (struct sock_filter)RETURN(REFUSED);
	}
	f[n++] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
	struct sock_fprog program = {.len = n, .filter = f};
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0;
}

void dev_confine(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return;
	confine_files();
	if (!confine_calls() && errno != EINVAL && errno != ENOSYS)
		dev_say("runs unconfined: the kernel refuses its filter (error %d)", errno);
}
