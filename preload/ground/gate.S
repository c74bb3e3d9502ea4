/*
 * gate.S - the always-allowed range of Syscall User Dispatch: the gate of all our own calls, the
 * returns from signal handlers, and stubs for the calls that must be made from the program's own
 * context (clone, vfork, rt_sigreturn, exit).
 *
 * All of it is ordinary code of the library: nothing is generated at run time, so no page is
 * writable and executable.
 */
#include "core/sys/asm.inc"

#define NR_rt_sigreturn 15
#define GMP_NSTUBS       384
#define GMP_PARKED       1
#define GMP_NCLONE_STUBS 32
#define GMP_NVFORK_STUBS 32

	.hidden gmp_gate, gmp_gate_start, gmp_gate_end, gmp_stubs, gmp_stub_back
	.hidden gmp_restore_own, gmp_restore_plain, gmp_restore_forwarded
	.hidden gmp_sigreturn_forwarded, gmp_sigreturn_with
	.hidden gmp_clone_stubs, gmp_clone_back, gmp_thread_born
	.globl gmp_clone_stubs, gmp_clone_back
	.hidden gmp_vfork_stubs, gmp_vfork_back, gmp_guest_born
	.globl gmp_vfork_stubs, gmp_vfork_back
	.hidden gmp_handler_enter, gmp_handler_begins
	.globl gmp_handler_enter
	.hidden gmp_gate_if, gmp_gate_if_look, gmp_gate_if_end, gmp_gate_if_out
	.globl gmp_gate_if, gmp_gate_if_look, gmp_gate_if_end, gmp_gate_if_out
	.hidden gmp_site_call, gmp_site_before, gmp_site_after
	.globl gmp_site_call
	.hidden gmp_site_called, gmp_site_called_held
	.globl gmp_site_called, gmp_site_called_held
	.globl gmp_gate, gmp_gate_start, gmp_gate_end, gmp_stubs, gmp_stub_back
	.globl gmp_restore_own, gmp_restore_plain, gmp_restore_forwarded, gmp_sigreturn_with

	.text
	.balign 4096
gmp_gate_start:
	.type gmp_gate, @function
gmp_gate:
	.cfi_startproc
	syscall
	ret
	.cfi_endproc
	.size gmp_gate, . - gmp_gate

/*
 * long gmp_gate_if(go, nr, args): the call, unless *go is zero. A signal between the look and
 * the kernel moves us to _out, so that none comes unseen (sigwait.c).
 */
	.type gmp_gate_if, @function
gmp_gate_if:
	.cfi_startproc
	mov %rdi, %r11
	mov %rsi, %rax
	mov %rdx, %rcx
	load_words %rcx, %rdi, %rsi, %rdx, %r10, %r8, %r9
gmp_gate_if_look:
	cmpl $0, (%r11)
	je gmp_gate_if_out
	syscall
gmp_gate_if_end:
	ret
gmp_gate_if_out:
	mov $-4, %rax /* EINTR */
	ret
	.cfi_endproc
	.size gmp_gate_if, . - gmp_gate_if

/*
 * void gmp_park(word, seen, state): marks the state if it is `seen`, and waits until the word is
 * not. The stack may be exchanged meanwhile, so nothing is pushed; the mark is the last store.
 */
	.hidden gmp_park
	.globl gmp_park
	.type gmp_park, @function
gmp_park:
	.cfi_startproc
	mov %esi, %r8d
	mov %esi, %eax
	mov %esi, %ecx
	or $GMP_PARKED, %ecx
	lock cmpxchg %ecx, (%rdx)
	jne 2f
1:	cmp %r8d, (%rdi)
	jne 2f
	mov $202, %eax /* futex */
	mov $128, %esi /* FUTEX_WAIT_PRIVATE */
	mov %r8d, %edx
	xor %r10d, %r10d
	syscall
	jmp 1b
2:	ret
	.cfi_endproc
	.size gmp_park, . - gmp_park

/*
 * gmp_site_call: where the stubs of rewritten calls go (dispatch/rewrite.c). rax: the number,
 * rcx: behind the site's own syscall; all else is the program's. An ordinary frame below the red
 * zone, so that unwinders see through, also when a thread is cancelled in the call.
 *
 *	gmp_site_before(regs)	0: just the call; more: what gmp_site_after() gets when it is over;
 *				less: the site's own syscall is to make it, which is dispatched
 *

 * While the call lasts its number is at rbp - 8 for the first (below the stack pointer: who runs on
 * this stack meanwhile is a handler of the program's, and then the call is over), rbp - 64 for the
 * other.
 *
 * Neither uses a vector register, which the kernel would keep. Flags are not kept: the compilers'
 * syscall changes them (the kernel's interface keeps them, and nobody counts on it).
 */
	.balign 64
	.type gmp_site_call, @function
gmp_site_call:
	.cfi_startproc simple
	.cfi_def_cfa %rsp, 0
	.cfi_register %rip, %rcx
	lea -128(%rsp), %rsp
	.cfi_def_cfa_offset 128
	push %rcx
	.cfi_def_cfa_offset 136
	.cfi_offset %rip, -136
	push %rbp
	.cfi_def_cfa_offset 144
	.cfi_offset %rbp, -144
	mov %rsp, %rbp
	.cfi_def_cfa %rbp, 144
	.irp reg, rax, r9, r8, r10, rdx, rsi, rdi
	push %\reg
	.endr
	mov %rsp, %rdi
	and $-16, %rsp
	call gmp_site_before
	mov %rax, %r11
	lea -56(%rbp), %rsp
	.irp reg, rdi, rsi, rdx, r10, r8, r9, rax
	pop %\reg
	.endr
	test %r11, %r11
	jnz 2f
	syscall
gmp_site_called:
1:	pop %rbp
	.cfi_remember_state
	.cfi_def_cfa %rsp, 136
	.cfi_restore %rbp
	pop %rcx
	.cfi_def_cfa_offset 128
	.cfi_register %rip, %rcx
	lea 128(%rsp), %rsp
	.cfi_def_cfa_offset 0
	jmp *%rcx
	.cfi_restore_state
2:	js 3f
	.irp reg, r11, r9, r8, r10, rdx, rsi, rdi
	push %\reg
	.endr
	push %rax
	syscall
gmp_site_called_held:
	mov -8(%rbp), %rdi
	mov %rax, -8(%rbp)
	lea 8(%rsp), %rsi
	and $-16, %rsp
	call gmp_site_after
	lea -56(%rbp), %rsp
	.irp reg, rdi, rsi, rdx, r10, r8, r9, rax
	pop %\reg
	.endr
	jmp 1b
3:	subq $2, 8(%rbp)
	jmp 1b
	.cfi_endproc
	.size gmp_site_call, . - gmp_site_call

/*
 * Returns from signal handlers. rsp points at the kernel's ucontext; the unwind tables find
 * every register in there (general registers start 40 bytes into it, in the order of REG_R8...),
 * so debuggers and C++ exceptions see through. The nop belongs to the function: unwinders look
 * one byte before a return address.
 */
	.macro saved reg, greg
	.cfi_escape 0x10, \reg, 3, 0x77, ((40 + 8 * \greg) & 0x7f) | 0x80, (40 + 8 * \greg) >> 7
	.endm
	.macro signal_frame
	.cfi_startproc simple
	.cfi_signal_frame
	.cfi_escape 0x0f, 4, 0x77, (160 & 0x7f) | 0x80, 160 >> 7, 0x06
	saved 8, 0
	saved 9, 1
	saved 10, 2
	saved 11, 3
	saved 12, 4
	saved 13, 5
	saved 14, 6
	saved 15, 7
	saved 5, 8
	saved 4, 9
	saved 6, 10
	saved 3, 11
	saved 1, 12
	saved 0, 13
	saved 2, 14
	saved 7, 15
	saved 16, 16
	nop
	.endm
	.macro restorer name, before
	.balign 16
	signal_frame
	.type \name, @function
\name:
	.ifnb \before
	mov %rsp, %rdi
	call \before
	.endif
	mov $NR_rt_sigreturn, %rax
	syscall
	.cfi_endproc
	.size \name, . - \name
	.endm

/*
 * Every handler of the program's is entered through here: gmp_handler_begins() sees to masks and
 * says where it is.
 */
	.balign 16
	.type gmp_handler_enter, @function
gmp_handler_enter:
	.cfi_startproc
	.irp reg, rdi, rsi, rdx
	push %\reg
	.cfi_adjust_cfa_offset 8
	.endr
	call gmp_handler_begins
	mov %rax, %r11
	.irp reg, rdx, rsi, rdi
	pop %\reg
	.cfi_adjust_cfa_offset -8
	.endr
	xor %eax, %eax
	jmp *%r11
	.cfi_endproc
	.size gmp_handler_enter, . - gmp_handler_enter

	restorer gmp_restore_own
	restorer gmp_restore_plain, gmp_sigreturn_forwarded
	restorer gmp_restore_forwarded, gmp_sigreturn_forwarded

/*
 * gmp_sigreturn_with(uc, dst, src, n): leaves this stack (dst may lie on it), copies a frame,
 * continues in uc.
 */
	.balign 16
	.type gmp_sigreturn_with, @function
gmp_sigreturn_with:
	.cfi_startproc
	.cfi_undefined rip
	mov %rdi, %rsp
	mov %rsi, %rdi
	mov %rdx, %rsi
	cld
	rep movsb
	mov $NR_rt_sigreturn, %rax
	syscall
	.cfi_endproc
	.size gmp_sigreturn_with, . - gmp_sigreturn_with

/* Stub i: the call, then back to gmp_stub_back[i]. No register or stack is used: clone's child
 * takes the same way. */
	.balign 16
gmp_stubs:
	.set i, 0
	.rept GMP_NSTUBS
	syscall
	jmp *gmp_stub_back + 8 * i(%rip)
	.set i, i + 1
	.endr

/*
 * The same for calls whose child is to be armed before it does anything: it first goes by
 * `born`, on its stack, with all registers but those of a system call's result kept. A vfork
 * child's stack is its parent's, who comes back to the same place above it.
 */
	.macro child_stubs name, number, back, child, born
	.balign 32
\name:
	.set i, 0
	.rept \number
	.balign 32
	syscall
	test %rax, %rax
	jnz 1f
	call \child
1:	jmp *\back + 8 * i(%rip)
	.set i, i + 1
	.endr

	.balign 16
	.type \child, @function
\child:
	.cfi_startproc
	.cfi_undefined rip
	push %rbp
	mov %rsp, %rbp
	.irp reg, rdi, rsi, rdx, r8, r9, r10
	push %\reg
	.endr
	and $-16, %rsp
	call \born
	lea -48(%rbp), %rsp
	.irp reg, r10, r9, r8, rdx, rsi, rdi, rbp
	pop %\reg
	.endr
	xor %eax, %eax
	ret
	.cfi_endproc
	.size \child, . - \child
	.endm

	child_stubs gmp_clone_stubs, GMP_NCLONE_STUBS, gmp_clone_back, thread_child, gmp_thread_born
	child_stubs gmp_vfork_stubs, GMP_NVFORK_STUBS, gmp_vfork_back, guest_child, gmp_guest_born
	.balign 4096
gmp_gate_end:

	.section .note.GNU-stack, "", @progbits
