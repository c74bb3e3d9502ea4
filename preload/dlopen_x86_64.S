/*
 * dlopen_x86_64.S - dlopen and dlmopen without RTLD_DEEPBIND.
 *
 * A library that is bound to libc before the program gets libc's malloc and free, and gives them
 * memory of ours, or us theirs. The real function looks at its return address to know who asks:
 * $ORIGIN, RUNPATH and the namespace are the caller's. So this is a jump, which leaves the
 * caller's there. The flag goes in a bypassed process, too: malloc is ours all the same.
 */
#define DEEPBIND 8 /* RTLD_DEEPBIND */

	.text

/* void *dlopen(file: rdi, mode: esi) */
	.globl	dlopen
	.type	dlopen, @function
	.p2align 4
dlopen:
	.cfi_startproc
	endbr64
	and	$~DEEPBIND, %esi
	cmpq	$0, gmp_real(%rip)	/* p_dlopen: preload/real.h */
	jne	1f
	call	resolve
1:	jmp	*gmp_real(%rip)
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
	cmpq	$0, gmp_real+8(%rip)	/* p_dlmopen */
	jne	1f
	call	resolve
1:	jmp	*gmp_real+8(%rip)
	.cfi_endproc
	.size	dlmopen, .-dlmopen

/* Before our constructor ran: the arguments stay. rsp is 16-byte aligned here. */
	.type	resolve, @function
resolve:
	.cfi_startproc
	push	%rdi
	.cfi_adjust_cfa_offset 8
	push	%rsi
	.cfi_adjust_cfa_offset 8
	push	%rdx
	.cfi_adjust_cfa_offset 8
	sub	$8, %rsp
	.cfi_adjust_cfa_offset 8
	call	gmp_real_resolve
	add	$8, %rsp
	.cfi_adjust_cfa_offset -8
	pop	%rdx
	.cfi_adjust_cfa_offset -8
	pop	%rsi
	.cfi_adjust_cfa_offset -8
	pop	%rdi
	.cfi_adjust_cfa_offset -8
	ret
	.cfi_endproc
	.size	resolve, .-resolve

	.section .note.GNU-stack, "", @progbits
