/*
 * gmo_perform(fn, frame, stack): calls fn with the registers of a struct gmo_frame (region.h) and
 * GMO_CALL_WORDS words on the stack, and puts into the frame what it returns.
 */
#include "core/sys/asm.inc"
	begin_framed gmo_perform
	push	%rbx
	.cfi_offset %rbx, -24
	sub	$8, %rsp
	mov	%rdi, %r11
	mov	%rsi, %rbx
	mov	$24, %ecx
1:	pushq	-8(%rdx,%rcx,8)
	dec	%ecx
	jnz	1b
	load_vectors 64(%rbx)
	mov	48(%rbx), %rax
	load_words %rbx, %rdi, %rsi, %rdx, %rcx, %r8, %r9
	call	*%r11
	mov	%rax, 48(%rbx)
	mov	%rdx, 56(%rbx)
	movups	%xmm0, 64(%rbx)
	movups	%xmm1, 80(%rbx)
	lea	-8(%rbp), %rsp
	pop	%rbx
	pop	%rbp
	.cfi_def_cfa %rsp, 8
	ret
	.cfi_endproc
	.size	gmo_perform, .-gmo_perform
	.section .note.GNU-stack,"",@progbits
