/*
 * gmo_call(fn, args, n): what fn returns, called with n integer arguments as the C ABI wants
 * it: six in registers, the rest on the stack, the last one highest. With fewer than six the
 * other registers hold whatever lies behind: nobody looks.
 *
 *	rbp + 0	 caller's rbp
 *	...	 one word of padding when n - 6 is odd
 *	rsp + 8	 args[7]
 *	rsp + 0	 args[6]
 */
#include "core/sys/asm.inc"
	begin_framed gmo_call
	mov	%rdi, %r11
	mov	%rsi, %r10
	mov	%rdx, %rax
	sub	$6, %rax
	jle	2f
	test	$1, %al
	jz	1f
	sub	$8, %rsp
1:	pushq	40(%r10,%rax,8)
	dec	%rax
	jnz	1b
2:	load_words %r10, %rdi, %rsi, %rdx, %rcx, %r8, %r9
	xor	%eax, %eax
	call	*%r11
	leave
	.cfi_def_cfa %rsp, 8
	ret
	.cfi_endproc
	.size	gmo_call, .-gmo_call
	.section .note.GNU-stack,"",@progbits
