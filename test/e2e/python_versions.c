/*
 * An interpreter that is none: this program's state, frames, code and strings are laid out as those
 * of the version of CPython that it is told, field by field as its headers declare them; then it
 * asks for memory. python_sites_test.sh looks for the lines in the report.
 */
#include "away.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define HEAD void *refs, *type
#define VAR_HEAD                                                                                   \
	HEAD;                                                                                      \
	intptr_t size

struct str {
	HEAD;
	intptr_t length, hash;
	uint32_t state; /* interned:2, kind:3, compact:1, ascii:1 */
	char rest[80];
};
struct bytes {
	VAR_HEAD;
	intptr_t hash;
	unsigned char text[40];
};

/* 3.8, 3.9, 3.10 */
struct old_code {
	HEAD;
	int argcount, posonly, kwonly, nlocals, stacksize, flags, firstlineno;
	void *code, *consts, *names, *varnames, *freevars, *cellvars, *cell2arg, *filename, *name,
		*lines;
	char rest[32];
};
struct old_frame_8 {
	VAR_HEAD;
	struct old_frame_8 *back;
	void *code, *builtins, *globals, *locals, *valuestack, *stacktop, *trace;
	char trace_lines, trace_opcodes;
	void *gen;
	int lasti, lineno;
};
struct old_frame_10 {
	VAR_HEAD;
	struct old_frame_10 *back;
	void *code, *builtins, *globals, *locals, *valuestack, *trace;
	int stackdepth;
	char trace_lines, trace_opcodes;
	void *gen;
	int lasti, lineno;
};
struct old_state {
	void *prev, *next, *interp, *frame;
};

/* 3.11, 3.12, 3.13 */
struct code_11 {
	VAR_HEAD;
	void *consts, *names, *exceptiontable;
	int flags;
	short warmup, linearray_entry_size;
	int argcount, posonly, kwonly, stacksize, firstlineno, nlocalsplus, nlocals, nplaincells,
		ncells, nfree;
	void *localsplusnames, *localspluskinds, *filename, *name, *qualname, *lines, *weakrefs,
		*code, *linearray;
	int firsttraceable;
	void *extra;
	char adaptive[64];
};
#define CODE_12_HEAD                                                                               \
	VAR_HEAD;                                                                                  \
	void *consts, *names, *exceptiontable;                                                     \
	int flags, argcount, posonly, kwonly, stacksize, firstlineno, nlocalsplus, framesize,      \
		nlocals, ncells, nfree;                                                            \
	uint32_t version;                                                                          \
	void *localsplusnames, *localspluskinds, *filename, *name, *qualname, *lines, *weakrefs
struct code_12 {
	CODE_12_HEAD;
	void *cached;
	uint64_t instrumentation;
	void *monitoring;
	int firsttraceable;
	void *extra;
	char adaptive[64];
};
struct code_13 {
	CODE_12_HEAD;
	void *executors, *cached;
	uintptr_t instrumentation;
	void *monitoring;
	int firsttraceable;
	void *extra;
	char adaptive[64];
};
struct frame_11 {
	void *func, *globals, *builtins, *locals, *code, *object;
	struct frame_11 *previous;
	void *prev_instr;
	int stacktop;
	_Bool is_entry;
	char owner;
	void *rest[8];
};
struct frame_12 { /* and 3.13, with other names */
	void *code;
	struct frame_12 *previous;
	void *func, *globals, *builtins, *locals, *object, *instr;
	int stacktop;
	uint16_t return_offset;
	char owner;
	void *rest[8];
};
struct cframe_11 {
	uint8_t use_tracing;
	void *current_frame, *previous;
};
struct cframe_12 {
	void *current_frame, *previous;
};
struct state_11 {
	void *prev, *next, *interp;
	int initialized, is_static, recursion_remaining, recursion_limit, headroom, tracing,
		tracing_what;
	void *cframe;
};
struct state_12 {
	void *prev, *next, *interp;
	unsigned status;
	int py_recursion_remaining, py_recursion_limit, c_recursion_remaining, headroom, tracing,
		what_event;
	void *cframe;
};
struct state_13 {
	void *prev, *next, *interp;
	uintptr_t eval_breaker;
	unsigned status;
	int whence, state, py_remaining, py_limit, c_remaining, headroom, tracing, what_event;
	void *current_frame;
};

static char version[32];
static int minor;
static void *state;

__attribute__((visibility("default"))) void *PyGILState_GetThisThreadState(void);
__attribute__((visibility("default"))) const char *Py_GetVersion(void);
void *PyGILState_GetThisThreadState(void)
{
	return state;
}
const char *Py_GetVersion(void)
{
	return version;
}

static struct str strings[8];
static void *make_str(struct str *s, const char *text, int ascii)
{
	size_t header = (minor >= 12 ? 40 : 48) + (ascii ? 0 : minor >= 12 ? 16 : 24);

	s->length = (intptr_t)strlen(text);
	s->state = 1u << 2 | 1u << 5 | (unsigned)ascii << 6;
	memcpy((char *)s + header, text, strlen(text));
	return s;
}

/* Lines 10, 11, .., as the version writes them down (Objects/lnotab_notes.txt, locations.md). */
static struct bytes *make_lines(void)
{
	static const unsigned char v8[] = {6, 1, 50, 5, 4, 0xfd},
				   v10[] = {6, 0, 50, 1, 4, 0x80, 10, 0xfd},
				   v11[] = {0xea, 0x00, 0xdf, 1, 5, 0xf0, 7, 0, 1, 2, 0x87, 1};
	static struct bytes table;

	table.size = minor < 10 ? sizeof v8 : minor < 11 ? sizeof v10 : sizeof v11;
	memcpy(table.text, minor < 10 ? v8 : minor < 11 ? v10 : v11, (size_t)table.size);
	return &table;
}

static void *file, *inner, *outer, *lines;

#define FILL_CODE(c, function)                                                                     \
	((c)->firstlineno = 10, (c)->filename = file, (c)->name = (function), (c)->lines = lines)

static void build_old(void)
{
	static struct old_code code[2];
	static struct old_frame_8 frame8[2];
	static struct old_frame_10 frame10[2];
	static struct old_state s;

	FILL_CODE(&code[0], inner);
	FILL_CODE(&code[1], outer);
	frame8[0] = (struct old_frame_8){.code = &code[0], .back = &frame8[1], .lasti = 62};
	frame8[1] = (struct old_frame_8){.code = &code[1], .lasti = 30};
	frame10[0] = (struct old_frame_10){.code = &code[0], .back = &frame10[1], .lasti = 31};
	frame10[1] = (struct old_frame_10){.code = &code[1], .lasti = 15};
	s.frame = minor < 10 ? (void *)frame8 : (void *)frame10;
	state = &s;
}

static void build_11(void)
{
	static struct code_11 code[2];
	static struct frame_11 frame[2];
	static struct cframe_11 c = {.current_frame = &frame[0]};
	static struct state_11 s = {.cframe = &c};

	FILL_CODE(&code[0], NULL);
	FILL_CODE(&code[1], NULL);
	code[0].qualname = inner;
	code[1].qualname = outer;
	frame[0] = (struct frame_11){
		.code = &code[0], .previous = &frame[1], .prev_instr = code[0].adaptive + 24};
	frame[1] = (struct frame_11){.code = &code[1], .prev_instr = code[1].adaptive + 12};
	state = &s;
}

static void build_12(void)
{
	static struct code_12 code12[2];
	static struct code_13 code13[2];
	static struct frame_12 frame[3];
	static struct cframe_12 c = {.current_frame = &frame[0]};
	static struct state_12 s12 = {.cframe = &c};
	static struct state_13 s13 = {.current_frame = &frame[0]};

	for (int i = 0; i < 2; i++) {
		FILL_CODE(&code12[i], NULL);
		FILL_CODE(&code13[i], NULL);
		code12[i].qualname = code13[i].qualname = i ? outer : inner;
	}
	frame[0] = (struct frame_12){
		.code = &code12[0], .previous = &frame[1], .instr = code12[0].adaptive + 24};
	frame[1] =
		(struct frame_12){.code = &frame[1], .previous = &frame[2], .owner = 3}; /* C's */
	frame[2] = (struct frame_12){.code = &code12[1], .instr = code12[1].adaptive + 12};
	if (minor == 13)
		for (int i = 0; i < 3; i += 2) {
			frame[i].code = &code13[i / 2];
			frame[i].instr = code13[i / 2].adaptive + (i ? 12 : 24);
		}
	state = minor == 12 ? (void *)&s12 : (void *)&s13;
}

__attribute__((noinline)) static char *take(size_t bytes)
{
	char *p = malloc(bytes);
	__asm__ volatile("" : "+r"(p));
	return p;
}

int main(int argc, char **argv)
{
	minor = argc > 1 ? atoi(argv[1]) : 0;
	snprintf(version, sizeof version, "3.%d.0 (made up)", minor);
	file = make_str(&strings[0], "/home/user/model.py", 1);
	inner = make_str(&strings[1],
			 "gr\xf6\xdf"
			 "e",
			 0); /* Latin-1 */
	outer = make_str(&strings[2], "outer", 1);
	lines = make_lines();
	(minor < 11 ? build_old : minor == 11 ? build_11 : build_12)();
	if (argc > 2) { /* nothing there: must not crash */
		static void *broken[16] = {[3] = (void *)8, [7] = (void *)8, [9] = (void *)8};
		state = broken;
	}
	char *p = take(4 << 20);
	memset(p, 1, 4 << 20);
	away(p, 4 << 20);
	return p[0] != 1;
}
