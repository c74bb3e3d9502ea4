/*
 * forward_x86_64.S - what program and LLVM's libomptarget.so.19.1 reach each other by.
 *
 * Every name of that library that entries.c does not answer is a jump to the library's own
 * function. gmo_forward_names holds the names, each with its NUL, an empty one at the end;
 * gmo_forwards their addresses, in the same order (gmo_forward_fill, before anybody calls).
 *
 * The library calls a region as a function. Each region is one of GMO_THUNKS entries of 16
 * bytes, which know their number, and hand number and arguments to gmo_thunk_launch(number,
 * registers, stack):
 *
 *	rbp + 16  arguments from the seventh on
 *	rbp + 8	  return address
 *	rbp + 0	  caller's rbp
 *	rbp - 48  the six that came in registers, the first one lowest
 */
	.set	at, 0
	.macro	forward name
	.text
	.globl	\name
	.type	\name, @function
\name:
	.cfi_startproc
	endbr64
	jmp	*gmo_forwards + at(%rip)
	.cfi_endproc
	.size	\name, . - \name
	.section .rodata.names, "aS", @progbits
	.asciz	"\name"
	.set	at, at + 8
	.endm

	.section .rodata.names, "aS", @progbits
	.globl	gmo_forward_names
	.hidden	gmo_forward_names
gmo_forward_names:

	forward	__kmpc_push_target_tripcount
	forward	__kmpc_push_target_tripcount_mapper
	forward	__tgt_activate_record_replay
	forward	__tgt_init_all_rtls
	forward	__tgt_interop_destroy
	forward	__tgt_interop_init
	forward	__tgt_interop_use
	forward	__tgt_mapper_num_components
	forward	__tgt_print_device_info
	forward	__tgt_push_mapper_component
	forward	__tgt_register_requires
	forward	__tgt_rtl_deinit
	forward	__tgt_rtl_init
	forward	__tgt_set_info_flag
	forward	__tgt_target
	forward	__tgt_target_data_begin
	forward	__tgt_target_data_begin_nowait
	forward	__tgt_target_data_end
	forward	__tgt_target_data_end_nowait
	forward	__tgt_target_data_update
	forward	__tgt_target_data_update_nowait
	forward	__tgt_target_kernel_replay
	forward	__tgt_target_mapper
	forward	__tgt_target_nowait
	forward	__tgt_target_nowait_mapper
	forward	__tgt_target_nowait_query
	forward	__tgt_target_teams
	forward	__tgt_target_teams_mapper
	forward	__tgt_target_teams_nowait
	forward	__tgt_target_teams_nowait_mapper
	forward	__tgt_unregister_lib
	forward	llvm_omp_target_dynamic_shared_alloc
	forward	omp_get_interop_int
	forward	omp_get_interop_name
	forward	omp_get_interop_ptr
	forward	omp_get_interop_str
	forward	omp_get_interop_type_desc
	forward	ompt_libomptarget_connect
	forward	ompx_dump_mapping_tables

	.section .rodata.names, "aS", @progbits
	.byte	0

	.bss
	.balign	8
	.globl	gmo_forwards
	.hidden	gmo_forwards
gmo_forwards:
	.skip	at

	.text
	.globl	gmo_thunks
	.hidden	gmo_thunks
	.balign	16
gmo_thunks:
	.set	number, 0
	.rept	1024	/* GMO_THUNKS */
	.balign	16
	.byte	0x68	/* push imm32 */
	.long	number
	.byte	0xe9	/* jmp rel32 */
	.long	thunk - . - 4
	.set	number, number + 1
	.endr

	.type	thunk, @function
thunk:
	.cfi_startproc
	.cfi_def_cfa_offset 16
	pop	%rax
	.cfi_def_cfa_offset 8
	push	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset %rbp, -16
	mov	%rsp, %rbp
	.cfi_def_cfa_register %rbp
	push	%r9
	push	%r8
	push	%rcx
	push	%rdx
	push	%rsi
	push	%rdi
	mov	%rax, %rdi
	mov	%rsp, %rsi
	lea	16(%rbp), %rdx
	call	gmo_thunk_launch
	leave
	.cfi_def_cfa %rsp, 8
	ret
	.cfi_endproc
	.size	thunk, . - thunk
	.section .note.GNU-stack, "", @progbits
