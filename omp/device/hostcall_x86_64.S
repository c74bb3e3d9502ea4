/*
 * gmo_host_entry: where a function of the host would begin, with a stub's number in r11. Asks
 * gmo_route(number, frame, stack): 0, then the frame has the result; else a function of this
 * process, which takes the place of the other, with the same arguments.
 *
 *	rbp + 16  arguments behind the sixth
 *	rbp + 8	  return address
 *	rbp + 0	  caller's rbp
 *	rsp + 0	  struct gmo_frame (region.h)
 */
#include "core/sys/asm.inc"
	begin_framed gmo_host_entry
	sub	$192, %rsp
	mov	%rdi, 0(%rsp)
	mov	%rsi, 8(%rsp)
	mov	%rdx, 16(%rsp)
	mov	%rcx, 24(%rsp)
	mov	%r8, 32(%rsp)
	mov	%r9, 40(%rsp)
	mov	%rax, 48(%rsp)
	movups	%xmm0, 64(%rsp)
	movups	%xmm1, 80(%rsp)
	movups	%xmm2, 96(%rsp)
	movups	%xmm3, 112(%rsp)
	movups	%xmm4, 128(%rsp)
	movups	%xmm5, 144(%rsp)
	movups	%xmm6, 160(%rsp)
	movups	%xmm7, 176(%rsp)
	mov	%r11d, %edi
	mov	%rsp, %rsi
	lea	16(%rbp), %rdx
	call	gmo_route
	mov	%rax, %r11
	movups	64(%rsp), %xmm0
	movups	80(%rsp), %xmm1
	test	%r11, %r11
	jnz	1f
	mov	48(%rsp), %rax
	mov	56(%rsp), %rdx
	leave
	.cfi_remember_state
	.cfi_def_cfa %rsp, 8
	ret
	.cfi_restore_state
1:	load_vectors 64(%rsp), 2
	mov	48(%rsp), %rax
	load_words %rsp, %rdi, %rsi, %rdx, %rcx, %r8, %r9
	leave
	.cfi_def_cfa %rsp, 8
	jmp	*%r11
	.cfi_endproc
	.size	gmo_host_entry, .-gmo_host_entry
	.section .note.GNU-stack,"",@progbits
