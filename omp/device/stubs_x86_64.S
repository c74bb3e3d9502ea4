/*
 * gmo_stubs: GMO_STUBS places of 16 bytes that code can be sent to, each with its own number in
 * r11 (calls_host.c knows what it stands for).
 */
	.text
	.globl	gmo_stubs
	.hidden	gmo_stubs
	.p2align 4
gmo_stubs:
	.set	number, 0
	.rept	8192
	.p2align 4
	mov	$number, %r11d
	jmp	gmo_host_entry
	.set	number, number+1
	.endr
	.section .note.GNU-stack,"",@progbits
