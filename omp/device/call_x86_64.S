/*
 * gmo_call(fn, args, n): calls fn with n integer arguments, as the C ABI wants it: six in
 * registers, the rest on the stack, the last one highest. With fewer than six the other
 * registers hold whatever lies behind: nobody looks.
 *
 *	rbp + 0	 caller's rbp
 *	...	 one word of padding when n - 6 is odd
 *	rsp + 8	 args[7]
 *	rsp + 0	 args[6]
 */
	.text
	.globl	gmo_call
	.hidden	gmo_call
	.type	gmo_call, @function
gmo_call:
	.cfi_startproc
	push	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset %rbp, -16
	mov	%rsp, %rbp
	.cfi_def_cfa_register %rbp
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
2:	mov	0(%r10), %rdi
	mov	8(%r10), %rsi
	mov	16(%r10), %rdx
	mov	24(%r10), %rcx
	mov	32(%r10), %r8
	mov	40(%r10), %r9
	xor	%eax, %eax
	call	*%r11
	leave
	.cfi_def_cfa %rsp, 8
	ret
	.cfi_endproc
	.size	gmo_call, .-gmo_call
	.section .note.GNU-stack,"",@progbits
