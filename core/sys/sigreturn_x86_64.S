/* sigreturn_x86_64.S - the restorer of signal handlers that core installs without libc (cpu.c). */
#include <sys/syscall.h>
	.text
	.globl	gmc_sigreturn
	.hidden	gmc_sigreturn
	.type	gmc_sigreturn, @function
	.p2align 4
	/* unwinders look one byte before a return address; the frame's CFI is the kernel's */
	nop
gmc_sigreturn:
	mov	$SYS_rt_sigreturn, %eax
	syscall
	.size	gmc_sigreturn, .-gmc_sigreturn
	.section .note.GNU-stack,"",@progbits
