/* syscall_args.h - short forms of struct gmp_arg, for the tables (syscall_table.c,
 * syscall_commands.c). */
#ifndef GMP_SYSCALL_ARGS_H
#define GMP_SYSCALL_ARGS_H

#include "preload/syscalls/syscall_table.h"

/* Counts are numbers of arguments, from 0. One object of n bytes, n objects of type T, n bytes: */
/* clang-format off */
#define VAL		{0}
#define INC(bytes)	{.kind = GMP_IN, .size = (bytes)}
#define OUTC(bytes)	{.kind = GMP_OUT, .size = (bytes)}
#define IOC(bytes)	{.kind = GMP_INOUT, .size = (bytes)}
#define IN1(T)		INC(sizeof(T))
#define OUT1(T)		OUTC(sizeof(T))
#define IO1(T)		IOC(sizeof(T))
#define INS(n, T)	{.kind = GMP_IN, .count = 1 + (n), .size = sizeof(T)}
#define OUTS(n, T)	{.kind = GMP_OUT, .count = 1 + (n), .size = sizeof(T)}
#define IOS(n, T)	{.kind = GMP_INOUT, .count = 1 + (n), .size = sizeof(T)}
#define IN(n)		INS(n, char)
#define OUT(n)		OUTS(n, char)
#define IO(n)		IOS(n, char)
/* n bytes and `more` */
#define IN_AND(n, more)	 {.kind = GMP_IN, .count = 1 + (n), .size = 1, .extra = (more)}
#define OUT_AND(n, more) {.kind = GMP_OUT, .count = 1 + (n), .size = 1, .extra = (more)}
#define OUTS_AND(n, T, more) {.kind = GMP_OUT, .count = 1 + (n), .size = sizeof(T), .extra = (more)}
#define OUTL(n)		{.kind = GMP_OUT, .unit = GMP_LENPTR, .count = 1 + (n), .size = 1}
#define FDSET(n)	{.kind = GMP_INOUT, .unit = GMP_BITS, .count = 1 + (n), .size = 1}
#define STR		{.kind = GMP_CSTR, .size = 4096}
#define STRV		{.kind = GMP_STRV}
#define IOVIN(n)	{.kind = GMP_IOV_IN, .count = 1 + (n), .size = 16}
#define IOVOUT(n)	{.kind = GMP_IOV_OUT, .count = 1 + (n), .size = 16}
#define MSGIN		{.kind = GMP_MSG_IN, .size = sizeof(struct msghdr)}
#define MSGOUT		{.kind = GMP_MSG_OUT, .size = sizeof(struct msghdr)}
#define MMSGIN(n)	{.kind = GMP_MMSG_IN, .count = 1 + (n), .size = sizeof(struct mmsghdr)}
#define MMSGOUT(n)	{.kind = GMP_MMSG_OUT, .count = 1 + (n), .size = sizeof(struct mmsghdr)}
#define IOCTL		{.kind = GMP_IOCTL}
#define SIGSET		{.kind = GMP_SIGSET, .size = 8}
#define SIGSET6		{.kind = GMP_SIGSET6, .size = 16}
#define PINC(bytes)	{.kind = GMP_PIN, .size = (bytes)}
#define PIN(n)		{.kind = GMP_PIN, .count = 1 + (n), .size = 1}
#define SCANC(bytes)	{.kind = GMP_SCAN, .size = (bytes)}
#define SCAN(n)		{.kind = GMP_SCAN, .count = 1 + (n), .size = 1}
#define SCANL(n)	{.kind = GMP_SCAN, .unit = GMP_LENPTR, .count = 1 + (n), .size = 1}
#define LAY1(id)	{.kind = GMP_LAYOUT, .layout = GMP_LAYOUT_##id}
#define LAYS(n, id)	{.kind = GMP_LAYOUT, .count = 1 + (n), .layout = GMP_LAYOUT_##id}
/* clang-format on */

#endif
