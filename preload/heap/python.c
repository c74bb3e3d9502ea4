/*
 * python.c - the lines of Python that a thread is in. See python.h.
 *
 * malloc cannot ask the interpreter, which would call malloc. So its structures are read: from the
 * calling thread's state, which nobody else changes, along its frames to their code objects; where
 * fields lie is a table by version. The state is what PyGILState_GetThisThreadState gives: one
 * thread-local value, also for a thread that has let go of the interpreter's lock.
 */
#include "preload/heap/python.h"
#include "core/count/site.h"
#include "core/sys/dynamic.h"
#include "core/sys/text.h"
#include <elf.h>
#include <stddef.h>

#define MAX_FRAMES 64 /* of Python, that are looked at */

/*
 * Offsets on x86-64 in bytes, as the layouts of CPython's Include/ (cpython/pystate.h,
 * cpython/code.h, frameobject.h, internal/pycore_frame.h) have them at the tag of each version;
 * 3.11's are those that its headers give a compiler. Builds without the global lock differ.
 */
enum line_table { LINES_3_8, LINES_3_10, LINES_3_11 };
static const struct layout {
	char version[6];
	enum line_table table;
	uint8_t state_frame;  /* of the thread's state: its innermost frame, */
	int8_t through;	      /* or what has it at this offset; -1: itself */
	uint8_t code, back;   /* of a frame: what it runs, who called */
	uint8_t at, at_bytes; /* where it is: an index, or (8 bytes) a pointer */
	int8_t owner;	      /* 3: the frame is none of Python's; -1: all are */
	uint8_t first_line, file, name, lines, start; /* of code; start: its instructions */
	uint8_t ascii, wide;			      /* of a string: where its text begins */
} layouts[] = {
	{"3.8.", LINES_3_8, 24, -1, 32, 24, 104, 4, -1, 40, 104, 112, 120, 0, 48, 72},
	{"3.9.", LINES_3_8, 24, -1, 32, 24, 104, 4, -1, 40, 104, 112, 120, 0, 48, 72},
	{"3.10.", LINES_3_10, 24, -1, 32, 24, 96, 4, -1, 40, 104, 112, 120, 0, 48, 72},
	{"3.11.", LINES_3_11, 56, 8, 32, 48, 56, 8, -1, 72, 112, 128, 136, 184, 48, 72},
	{"3.12.", LINES_3_11, 56, 0, 0, 8, 56, 8, 70, 68, 112, 128, 136, 192, 40, 56},
	{"3.13.", LINES_3_11, 72, -1, 0, 8, 56, 8, 70, 68, 112, 128, 136, 200, 40, 56},
};
#define OWNED_BY_C  3
#define FRAME_BYTES 112 /* as much of a frame as has the fields above, at most */
#define CODE_BYTES  144

static uint64_t python_word(const unsigned char *p, size_t bytes)
{
	uint64_t word = 0;

	gm_copy(&word, p, bytes);
	return word;
}

/* ---- which interpreter ---- */

/* A symbol that the module defines, by its GNU hash table; 0: it does not. dlsym would lock. */
static uintptr_t find_symbol(const struct link_map *map, const char *name)
{
	struct gm_dynamic s = gm_dynamic_of(map->l_ld, map->l_addr);
	uint32_t hash = 5381;

	if (!s.gnu || !s.names || !s.symbols)
		return 0;
	for (const char *c = name; *c; c++)
		hash = hash * 33 + (unsigned char)*c;
	/* buckets, first, words, shift; words, buckets, chains */
	const uint64_t *bloom = (const uint64_t *)(s.gnu + 4);
	const uint32_t *bucket = (const uint32_t *)(bloom + s.gnu[2]), *chain = bucket + s.gnu[0];
	uint64_t word = bloom[hash / 64 % s.gnu[2]];
	if (!(word >> hash % 64 & word >> (hash >> s.gnu[3]) % 64 & 1))
		return 0;
	for (uint32_t i = bucket[hash % s.gnu[0]]; i >= s.gnu[1]; i++) {
		uint32_t h = chain[i - s.gnu[1]];
		if ((h | 1) == (hash | 1) && gm_text_same(s.names + s.symbols[i].st_name, name))
			return map->l_addr + s.symbols[i].st_value;
		if (h & 1)
			break;
	}
	return 0;
}

bool gmp_python_is(const struct link_map *map)
{
	return find_symbol(map, "PyGILState_GetThisThreadState") != 0;
}

static bool is_part(const char *text, const char *part)
{
	for (; *text; text++)
		if (gm_text_after(text, part))
			return true;
	return false;
}

/* "3.11.2 (main, ...": of this interpreter; NULL: none that is known. */
static const struct layout *layout_of(const char *version)
{
	for (unsigned i = 0; i < GM_ARRAY_LEN(layouts); i++)
		if (gm_text_after(version, layouts[i].version) &&
		    !is_part(version, "free-threading"))
			return &layouts[i];
	return NULL;
}

/* ---- strings ---- */

static size_t put_utf8(char *to, size_t room, uint32_t c)
{
	static const struct {
		uint32_t below;
		unsigned more, mark;
	} forms[] = {{0x80, 0, 0}, {0x800, 1, 0xc0}, {0x10000, 2, 0xe0}, {0x110000, 3, 0xf0}};

	for (unsigned i = 0; i < GM_ARRAY_LEN(forms); i++) {
		unsigned more = forms[i].more;
		if (c >= forms[i].below)
			continue;
		if (more + 1 >= room)
			return 0;
		to[0] = (char)(forms[i].mark | c >> 6 * more);
		for (unsigned k = 1; k <= more; k++)
			to[k] = (char)(0x80 | (c >> 6 * (more - k) & 63));
		return more + 1;
	}
	return 0;
}

/* A str's text into `to`, all zeros till then: its end where it is too long for the room. */
static void read_text(const struct layout *l, uintptr_t str, char *to, size_t room)
{
	unsigned char head[40], text[112 * 4];
	size_t n, at = 0;

	if (!gmi_read_own(head, str, sizeof head))
		return;
	uint64_t chars = python_word(head + 16, 8), state = python_word(head + 32, 4);
	unsigned width = state >> 2 & 7; /* bytes of a character */
	if (!(state >> 5 & 1) || (width != 1 && width != 2 && width != 4))
		return; /* not compact: no code's name is made so */
	n = gm_min(chars, gm_min((uint64_t)room - 1, sizeof text / width));
	uintptr_t from = str + (state >> 6 & 1 ? l->ascii : l->wide) + (chars - n) * width;
	if (!gmi_read_own(text, from, n * width))
		return;
	for (size_t i = 0; i < n; i++)
		at += put_utf8(to + at, room - at, (uint32_t)python_word(text + i * width, width));
}

/* ---- lines ---- */

/* The bytes of a line table, as many at a time as there is room for. */
struct table {
	uintptr_t from;
	uint64_t left;
	unsigned at, n;
	unsigned char buf[256];
};

static bool next_byte(struct table *t, unsigned *byte)
{
	if (t->at == t->n) {
		t->n = (unsigned)gm_min(t->left, sizeof t->buf);
		t->at = 0;
		if (!t->n || !gmi_read_own(t->buf, t->from, t->n))
			return false;
		t->from += t->n;
		t->left -= t->n;
	}
	*byte = t->buf[t->at++];
	return true;
}

/* Pairs: how many bytes of instructions further, how many lines then (3.10: how many for these). */
static int line_by_pairs(struct table *t, int line, uint64_t at, bool before)
{
	uint64_t reached = 0;
	unsigned bytes, lines;
	int is = line;

	while (next_byte(t, &bytes) && next_byte(t, &lines)) {
		int delta = (signed char)lines;
		reached += bytes;
		if (!before && reached > at)
			break;
		if (!before || delta != -128) /* -128: these have no line */
			line += delta;
		is = before && delta == -128 ? 0 : line;
		if (before && reached > at)
			break;
	}
	return is;
}

static bool next_signed(struct table *t, int *value)
{
	unsigned byte, bits = 0, shift = 0;

	do {
		if (!next_byte(t, &byte) || shift > 24)
			return false;
		bits |= (byte & 63) << shift;
		shift += 6;
	} while (byte & 64);
	*value = bits & 1 ? -(int)(bits >> 1) : (int)(bits >> 1);
	return true;
}

/* Entries: a byte with bit 7, form and length in it, then bytes without bit 7. */
static int line_by_entries(struct table *t, int line, uint64_t at)
{
	uint64_t reached = 0;
	unsigned byte;
	int delta;

	while (next_byte(t, &byte)) {
		unsigned form = byte >> 3 & 15;
		if (!(byte & 128))
			continue; /* columns */
		if (form == 13 || form == 14) {
			if (!next_signed(t, &delta))
				break;
			line += delta;
		} else if (form >= 10 && form <= 12) {
			line += (int)form - 10;
		}
		reached += ((byte & 7) + 1) * 2;
		if (reached > at)
			return form == 15 ? 0 : line;
	}
	return 0;
}

/* ---- frames ---- */

struct place {
	const struct layout *layout;
	uint64_t at; /* in its code, in bytes */
	unsigned char code[CODE_BYTES];
};

static int line_of_place(const struct place *p)
{
	const struct layout *l = p->layout;
	uintptr_t object = python_word(p->code + l->lines, 8);
	struct table t = {.from = object + 32}; /* a bytes object */
	int first = (int)python_word(p->code + l->first_line, 4);

	if (!gmi_read_own(&t.left, object + 16, sizeof t.left))
		return 0;
	if (l->table == LINES_3_11)
		return line_by_entries(&t, first, p->at);
	return line_by_pairs(&t, first, p->at, l->table == LINES_3_10);
}

/* What nobody writes to have his arrays found. */
static bool is_installed(const char *file)
{
	static const char *const parts[] = {"/site-packages/", "/dist-packages/", "/lib/python3",
					    "<frozen ", "<__array_function__"};

	for (unsigned i = 0; i < GM_ARRAY_LEN(parts); i++)
		if (is_part(file, parts[i]))
			return true;
	return false;
}

static void describe_place(struct gm_site_line *to, const void *arg)
{
	const struct place *p = arg;

	read_text(p->layout, python_word(p->code + p->layout->file, 8), to->file, sizeof to->file);
	read_text(p->layout, python_word(p->code + p->layout->name, 8), to->function,
		  sizeof to->function);
	to->line = (uint32_t)line_of_place(p);
	to->installed = is_installed(to->file);
}

/* The frame's number in the table of lines, 0: it is not to be told. *frame: who called it. */
static uintptr_t look_at_python(const struct layout *l, uintptr_t *frame)
{
	unsigned char f[FRAME_BYTES];
	struct place p = {.layout = l};
	uintptr_t self = *frame;

	*frame = 0;
	if (!gmi_read_own(f, self, gm_max(l->at + l->at_bytes, l->owner + 1)))
		return 0;
	*frame = python_word(f + l->back, 8);
	uintptr_t code = python_word(f + l->code, 8);
	if ((l->owner >= 0 && f[l->owner] == OWNED_BY_C) ||
	    !gmi_read_own(p.code, code, sizeof p.code))
		return 0;
	p.at = python_word(f + l->at, l->at_bytes);
	if (l->table == LINES_3_10)
		p.at *= 2;
	if (l->table == LINES_3_11)
		p.at -= code + l->start;
	/* Code may go and other code come in its place: not with the same of all these. */
	const uint64_t words[] = {code, p.at, python_word(p.code + l->file, 8),
				  python_word(p.code + l->first_line, 4)};
	uint64_t key = 0;
	for (unsigned i = 0; i < GM_ARRAY_LEN(words); i++)
		key = (key ^ words[i]) * 0x9e3779b97f4a7c15u;
	return gmi_site_line(key, describe_place, &p);
}

static void say_unknown(struct gm_site_line *to, const void *version)
{
	gmi_snprintf(to->function, sizeof to->function, "Python %.6s", (const char *)version);
	gmi_snprintf(to->file, sizeof to->file, "lines are known of 3.8 to 3.13");
	to->installed = 1;
}

/* The innermost frame of a thread's state; 0: none. */
static uintptr_t innermost(const struct layout *l, uintptr_t state)
{
	uintptr_t at;

	if (!gmi_read_own(&at, state + l->state_frame, sizeof at))
		return 0;
	if (l->through >= 0 && at && !gmi_read_own(&at, at + (uintptr_t)l->through, sizeof at))
		return 0;
	return at;
}

unsigned gmp_python_frames(const struct link_map *map, uintptr_t *frame, unsigned room)
{
	typedef void *state_fn(void);
	typedef const char *version_fn(void);
	state_fn *state = (state_fn *)find_symbol(map, "PyGILState_GetThisThreadState");
	version_fn *version = (version_fn *)find_symbol(map, "Py_GetVersion");
	uintptr_t of = state && version ? (uintptr_t)state() : 0, at, line;
	unsigned n = 0, all = 0;

	if (!of || !room)
		return 0;
	const struct layout *l = layout_of(version());
	if (!l) {
		frame[0] = gmi_site_line(1, say_unknown, version());
		return frame[0] != 0;
	}
	at = innermost(l, of);
	for (unsigned i = 0; at && n < room && i < MAX_FRAMES; i++) {
		line = look_at_python(l, &at);
		if (line && (!all++ || !gmi_site_line_installed(line)))
			frame[n++] = line;
	}
	return n;
}
