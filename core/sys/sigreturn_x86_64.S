/* sigreturn_x86_64.S - the restorer of signal handlers that core installs without libc (cpu.c). */
#include <sys/syscall.h>
	.text
	.globl	gm_sigreturn
	.hidden	gm_sigreturn
	.type	gm_sigreturn, @function
	.p2align 4
	nop	/* unwinders look one byte before a return address; the frame's CFI is the kernel's business */
gm_sigreturn:
	mov	$SYS_rt_sigreturn, %eax
	syscall
	.size	gm_sigreturn, .-gm_sigreturn
	.section .note.GNU-stack,"",@progbits
