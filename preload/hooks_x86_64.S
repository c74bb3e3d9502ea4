/*
 * hooks_x86_64.S - hooks that are jumps, because the real function must find what its caller left.
 *
 * dlopen and dlmopen, without RTLD_DEEPBIND: a library that is bound to libc before the program
 * gets libc's malloc and free, and gives them memory of ours, or us theirs. The real function
 * looks at its return address to know who asks: $ORIGIN, RUNPATH and the namespace are the
 * caller's. The flag goes in a bypassed process, too: malloc is ours all the same.
 *
 * __kmpc_fork_call: its arguments are as many as its second says, and the runtime's function must
 * find them where the caller put them (preload/openmp/libomp.c).
 *
 * syscall: any call may be made by it, also those that return twice. Only those by which a
 * process may confine itself, or be traced, are looked at (preload/dispatch/leave.c).
 */
#define DEEPBIND 8 /* RTLD_DEEPBIND */
#define NR_ptrace 101
#define NR_prctl 157
#define NR_unshare 272
#define NR_setns 308
#define NR_seccomp 317
#define NR_landlock_restrict_self 446

	.text

	/* What gmp_real holds at `at` (preload/real.h). */
	.macro go_on at
	cmpq	$0, gmp_real+\at(%rip)
	jne	1f
	call	resolve
1:	jmp	*gmp_real+\at(%rip)
	.endm

/* void *dlopen(file: rdi, mode: esi) */
	.globl	dlopen
	.type	dlopen, @function
	.p2align 4
dlopen:
	.cfi_startproc
	endbr64
	and	$~DEEPBIND, %esi
	go_on	0
	.cfi_endproc
	.size	dlopen, .-dlopen

/* void *dlmopen(namespace: rdi, file: rsi, mode: edx) */
	.globl	dlmopen
	.type	dlmopen, @function
	.p2align 4
dlmopen:
	.cfi_startproc
	endbr64
	and	$~DEEPBIND, %edx
	go_on	8
	.cfi_endproc
	.size	dlmopen, .-dlmopen

/* long syscall(nr: rdi, ...) */
	.globl	syscall
	.hidden	gmp_confining_syscall
	.type	syscall, @function
	.p2align 4
syscall:
	.cfi_startproc
	endbr64
	.irp nr, NR_prctl, NR_ptrace, NR_unshare, NR_setns, NR_seccomp, NR_landlock_restrict_self
	cmp	$\nr, %rdi
	je	gmp_confining_syscall
	.endr
	go_on	16
	.cfi_endproc
	.size	syscall, .-syscall

/*
 * void __kmpc_fork_call(location: rdi, n: esi, region: rdx, ...)
 *
 *	rsp + 56  arguments behind the sixth
 *	rsp + 48  return address
 *	rsp + 0	  rdi rsi rdx rcx r8 r9
 */
	.globl	__kmpc_fork_call
	.hidden	gmp_fork_call
	.type	__kmpc_fork_call, @function
	.p2align 4
__kmpc_fork_call:
	.cfi_startproc
	endbr64
	.irp reg, r9, r8, rcx, rdx, rsi, rdi
	push	%\reg
	.cfi_adjust_cfa_offset 8
	.endr
	mov	%rsp, %rdi
	sub	$8, %rsp
	.cfi_adjust_cfa_offset 8
	call	gmp_fork_call
	add	$8, %rsp
	.cfi_adjust_cfa_offset -8
	mov	%rax, %r11
	.irp reg, rdi, rsi, rdx, rcx, r8, r9
	pop	%\reg
	.cfi_adjust_cfa_offset -8
	.endr
	xor	%eax, %eax
	test	%r11, %r11
	jz	1f
	jmp	*%r11
1:	ret
	.cfi_endproc
	.size	__kmpc_fork_call, .-__kmpc_fork_call

/* Before our constructor ran: the arguments stay. rsp is 16-byte aligned here. */
	.type	resolve, @function
resolve:
	.cfi_startproc
	.irp reg, rdi, rsi, rdx, rcx, r8, r9
	push	%\reg
	.cfi_adjust_cfa_offset 8
	.endr
	call	gmp_real_resolve
	.irp reg, r9, r8, rcx, rdx, rsi, rdi
	pop	%\reg
	.cfi_adjust_cfa_offset -8
	.endr
	ret
	.cfi_endproc
	.size	resolve, .-resolve

	.section .note.GNU-stack, "", @progbits
