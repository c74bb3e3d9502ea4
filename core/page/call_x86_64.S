/*
 * call_x86_64.S - calling a driver's function so that a signal handler can end it.
 *
 * long gmc_guarded_call(void *fn, const uintptr_t args[4], void **sp): calls fn with four words.
 * Meanwhile *sp is the stack as it is here.
 * gmc_guarded_leave: where a handler sends a thread that is inside, with that value in rdi: the
 * call returns -EIO, as if fn had returned.
 */
#include <asm/errno.h>
#include "core/sys/asm.inc"
	begin_framed gmc_guarded_call
	push	%rbx
	.cfi_offset %rbx, -24
	push	%r12
	.cfi_offset %r12, -32
	push	%r13
	.cfi_offset %r13, -40
	push	%r14
	.cfi_offset %r14, -48
	push	%r15
	.cfi_offset %r15, -56
	sub	$8, %rsp
	mov	%rsp, (%rdx)
	mov	%rdi, %r11
	mov	%rsi, %rax
	load_words %rax, %rdi, %rsi, %rdx, %rcx
	call	*%r11
.Lout:
	lea	-40(%rbp), %rsp
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbx
	pop	%rbp
	.cfi_def_cfa %rsp, 8
	ret
	.globl	gmc_guarded_leave
	.hidden	gmc_guarded_leave
gmc_guarded_leave:
	.cfi_def_cfa %rbp, 16
	mov	%rdi, %rsp
	lea	48(%rsp), %rbp
	mov	$-EIO, %rax
	jmp	.Lout
	.cfi_endproc
	.size	gmc_guarded_call, .-gmc_guarded_call
	.section .note.GNU-stack,"",@progbits
