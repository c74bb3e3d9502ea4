/* makecontext.S - the hook of a function with any arguments. See sigmask.c. */
	.text
/*
 * makecontext(uc, fn, argc, ...): the arguments go through untouched, wherever they are.
 */
	.globl makecontext
	.hidden gmp_before_makecontext
	.type makecontext, @function
makecontext:
	.cfi_startproc
	.irp reg, rdi, rsi, rdx, rcx, r8, r9, rax
	push %\reg
	.cfi_adjust_cfa_offset 8
	.endr
	call gmp_before_makecontext
	mov %rax, %r11
	.irp reg, rax, r9, r8, rcx, rdx, rsi, rdi
	pop %\reg
	.cfi_adjust_cfa_offset -8
	.endr
	jmp *%r11
	.cfi_endproc
	.size makecontext, . - makecontext

	.section .note.GNU-stack, "", @progbits
