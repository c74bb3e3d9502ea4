/* vectors_x86_64.S - gmi_keep_vectors(). See vectors.h. */
#define MASK 0xe7 /* x87, SSE, AVX, opmask, ZMM_Hi256, Hi16_ZMM */

	.globl gmi_keep_vectors
	.hidden gmc_xsave_bytes
	.text
	.type gmi_keep_vectors, @function
gmi_keep_vectors:
	.cfi_startproc
	push %rbp
	.cfi_def_cfa_offset 16
	.cfi_offset %rbp, -16
	mov %rsp, %rbp
	.cfi_def_cfa_register %rbp
	push %rbx
	.cfi_offset %rbx, -24
	push %r12
	.cfi_offset %r12, -32
	mov %rdi, %r12
	mov %rsi, %rbx
	mov gmc_xsave_bytes(%rip), %eax
	test %eax, %eax
	jz 2f
	sub %rax, %rsp
	and $-64, %rsp
	/* the header: xsave writes its first eight bytes, xrstor wants zeros behind them */
	xor %eax, %eax
	.irp i, 0, 8, 16, 24, 32, 40, 48, 56
	mov %rax, 512 + \i(%rsp)
	.endr
	mov $MASK, %eax
	xor %edx, %edx
	xsave (%rsp)
	mov %rbx, %rdi
	call *%r12
	mov $MASK, %eax
	xor %edx, %edx
	xrstor (%rsp)
1:	lea -16(%rbp), %rsp
	pop %r12
	pop %rbx
	pop %rbp
	.cfi_remember_state
	.cfi_def_cfa %rsp, 8
	ret
	.cfi_restore_state
2:	sub $512, %rsp
	and $-64, %rsp
	fxsave (%rsp)
	mov %rbx, %rdi
	call *%r12
	fxrstor (%rsp)
	jmp 1b
	.cfi_endproc
	.size gmi_keep_vectors, . - gmi_keep_vectors

	.section .note.GNU-stack, "", @progbits
