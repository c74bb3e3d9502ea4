/*
 * copy.S - reading memory that may not be there, and calling on another stack. Outside gate.S's
 * range: neither enters the kernel.
 */
	.hidden gmp_copy, gmp_copy_fail, gmp_copy_end
	.globl gmp_copy, gmp_copy_fail, gmp_copy_end

	.text
/* gmp_call_on(stack, fn, arg): fn(arg), with the stack pointer at `stack` meanwhile. */
	.globl gmp_call_on
	.hidden gmp_call_on
	.type gmp_call_on, @function
gmp_call_on:
	.cfi_startproc
	push %rbp
	.cfi_def_cfa_offset 16
	.cfi_offset rbp, -16
	mov %rsp, %rbp
	.cfi_def_cfa_register rbp
	mov %rdi, %rsp
	mov %rdx, %rdi
	call *%rsi
	mov %rbp, %rsp
	pop %rbp
	.cfi_def_cfa rsp, 8
	ret
	.cfi_endproc
	.size gmp_call_on, . - gmp_call_on

/* int gmp_copy(dst, src, n): the SIGSEGV handler sends a fault inside it to gmp_copy_fail. */
	.type gmp_copy, @function
gmp_copy:
	.cfi_startproc
	mov %rdx, %rcx
	cld
	rep movsb
	xor %eax, %eax
	ret
gmp_copy_end:
gmp_copy_fail:
	mov $-14, %eax
	ret
	.cfi_endproc
	.size gmp_copy, . - gmp_copy

	.section .note.GNU-stack, "", @progbits
