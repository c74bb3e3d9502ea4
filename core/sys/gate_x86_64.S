/*
 * gate_x86_64.S - how core enters the kernel, and how it starts a process that shares its
 * memory.
 *
 * Every system call of ours is executed by the two instructions that gmi_gate points at. By
 * default these are gate_local below; the preload points gmi_gate at a copy inside the range
 * that Syscall User Dispatch never stops. Registers of a system call: number rax; arguments rdi
 * rsi rdx r10 r8 r9; the kernel destroys rcx and r11.
 */
#include <sys/syscall.h>

	.text

/* long gmi_syscall(long nr, a, b, c, d, e, f): the C calling convention moved over by one, then
 * a tail jump. */
	.globl	gmi_syscall
	.type	gmi_syscall, @function
	.p2align 4
gmi_syscall:
	.cfi_startproc
	endbr64
	mov	%rdi, %rax
	mov	%rsi, %rdi
	mov	%rdx, %rsi
	mov	%rcx, %rdx
	mov	%r8, %r10
	mov	%r9, %r8
	mov	8(%rsp), %r9
	mov	gmi_gate@GOTPCREL(%rip), %r11
	jmp	*(%r11)
	.cfi_endproc
	.size	gmi_syscall, .-gmi_syscall

	.type	gate_local, @function
	.p2align 4
gate_local:
	.cfi_startproc
	endbr64
	syscall
	ret
	.cfi_endproc
	.size	gate_local, .-gate_local

/*
 * long gmc_clone_call(unsigned long flags, void *stack_top, int (*fn)(void *), void *arg)
 *
 * clone() whose child calls fn(arg) on the stack below stack_top and exits with its result. The
 * child leaves the gate by the gate's own `ret`, so that instruction must find its way on the
 * child's stack:
 *
 *	stack_top - 48	child_entry	<- rsp of the child in the gate
 *	          - 40	fn
 *	          - 32	arg
 *	          - 24	(unused: keeps the call below 16-byte aligned)
 *	          - 16	what gmi_syscall, at the end, takes for its seventh argument: behind
 *	          	stack_top nothing may be mapped
 */
	.globl	gmc_clone_call
	.hidden	gmc_clone_call
	.type	gmc_clone_call, @function
	.p2align 4
gmc_clone_call:
	.cfi_startproc
	endbr64
	and	$-16, %rsi
	sub	$48, %rsi
	lea	child_entry(%rip), %rax
	mov	%rax, (%rsi)
	mov	%rdx, 8(%rsi)
	mov	%rcx, 16(%rsi)
	mov	$SYS_clone, %eax
	xor	%edx, %edx
	xor	%r10d, %r10d
	xor	%r8d, %r8d
	mov	gmi_gate@GOTPCREL(%rip), %r11
	jmp	*(%r11)
	.cfi_endproc
	.size	gmc_clone_call, .-gmc_clone_call

	.type	child_entry, @function
child_entry:
	.cfi_startproc
	.cfi_undefined rip	/* the first frame: unwinding ends here */
	pop	%rax
	pop	%rdi
	add	$8, %rsp
	xor	%ebp, %ebp
	call	*%rax
	mov	%rax, %rsi
	mov	$SYS_exit, %edi
	call	gmi_syscall@PLT
	ud2
	.cfi_endproc
	.size	child_entry, .-child_entry

	.data
	.globl	gmi_gate
	.type	gmi_gate, @object
	.size	gmi_gate, 8
	.p2align 3
gmi_gate:
	.quad	gate_local

	.section .note.GNU-stack, "", @progbits
