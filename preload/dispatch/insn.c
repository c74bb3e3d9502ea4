/*
 * insn.c - the lengths of x86-64 instructions, from Intel's opcode maps. See insn.h.
 *
 * A letter for each opcode says what follows it; what is not known to exist in 64-bit mode, or
 * is never seen in compilers' code, is refused.
 */
#include "preload/dispatch/insn.h"

#include <string.h>

/*
 * .  nothing               m  ModRM                 b  ModRM, 1 byte     z  ModRM, 4 bytes (2)
 * 1  1 byte                4  4 bytes (2 with 66)   2  2 bytes           3  3 bytes
 * q  4 bytes (8 with REX.W) o  an address           t  test: ModRM, an immediate for /0 and /1
 * j  branch by 1 byte      J  branch by 4 bytes     x  leaves or traps   f  ModRM, /2../5 branch
 * -  not here: invalid, a prefix, or another map
 */
static const char one_byte[] = "mmmm14--mmmm14--mmmm14--mmmm14--"   /* 00 */
			       "mmmm14--mmmm14--mmmm14--mmmm14--"   /* 20 */
			       "----------------................"   /* 40 */
			       "---m----4z1b....jjjjjjjjjjjjjjjj"   /* 60 */
			       "bz-bmmmmmmmmmmmm..........-....."   /* 80 */
			       "oooo....14......11111111qqqqqqqq"   /* a0 */
			       "bb2x--bz3.2xxx-xmmmm---.mmmmmmmm"   /* c0 */
			       "jjjj1111JJ-j....-x--x.ttx.x...mf";  /* e0 */
static const char two_bytes[] = "mmmm-x..xx-x-m--mmmmmmmmmmmmmmmm"  /* 00 */
				"mmmm----mmmmmmmm....xx-.--------"  /* 20 */
				"mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm"  /* 40 */
				"mmmmmmmmmmmmmmmmbbbbmmm.mm--mmmm"  /* 60 */
				"JJJJJJJJJJJJJJJJmmmmmmmmmmmmmmmm"  /* 80 */
				"...mbm--..xmbmmmmmmmmmmm-mbmmmmm"  /* a0 */
				"mmbmbbbm........mmmmmmmmmmmmmmmm"  /* c0 */
				"mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm-"; /* e0 */

struct scan {
	const uint8_t *p, *end;
	bool short_imm, wide; /* prefix 66, REX.W */
	bool bad;
};

static uint8_t next(struct scan *s)
{
	if (s->p >= s->end) {
		s->bad = true;
		return 0;
	}
	return *s->p++;
}

static void skip(struct scan *s, unsigned n)
{
	if ((unsigned)(s->end - s->p) < n)
		s->bad = true;
	else
		s->p += n;
}

/* The byte itself, or 0 when there is none. */
static uint8_t skip_modrm(struct scan *s, struct gmp_insn *out)
{
	uint8_t modrm = next(s), mod = modrm >> 6, rm = modrm & 7, base = rm;

	if (mod == 3)
		return modrm;
	if (rm == 4)
		base = next(s) & 7;
	else if (mod == 0 && rm == 5)
		out->stays = true; /* %rip */
	if (mod == 1)
		skip(s, 1);
	else if (mod == 2 || base == 5)
		skip(s, 4);
	return modrm;
}

static void skip_branch(struct scan *s, struct gmp_insn *out, unsigned n)
{
	const uint8_t *at = s->p;

	out->stays = out->jumps = true;
	skip(s, n);
	if (s->bad)
		return;
	if (n == 1)
		out->distance = (int8_t)*at;
	else
		memcpy(&out->distance, at, sizeof(out->distance));
}

static void skip_operands(struct scan *s, struct gmp_insn *out, char what)
{
	const unsigned imm = s->short_imm && !s->wide ? 2 : 4;
	uint8_t modrm;

	switch (what) {
	case '.':
		break;
	case 'x':
		out->stays = true;
		break;
	case '1':
	case '2':
	case '3':
		skip(s, (unsigned)(what - '0'));
		break;
	case '4':
		skip(s, imm);
		break;
	case 'q':
		skip(s, s->wide ? 8 : imm);
		break;
	case 'o':
		skip(s, 8);
		break;
	case 'm':
		skip_modrm(s, out);
		break;
	case 'b':
		skip_modrm(s, out);
		skip(s, 1);
		break;
	case 'z':
		skip_modrm(s, out);
		skip(s, imm);
		break;
	case 'f':
		modrm = skip_modrm(s, out) >> 3 & 7;
		out->stays |= modrm >= 2 && modrm <= 5;
		break;
	case 'j':
		skip_branch(s, out, 1);
		break;
	case 'J':
		skip_branch(s, out, 4);
		break;
	default:
		s->bad = true;
	}
}

/* test: f6 and f7 have an immediate for /0 and /1 only. */
static void skip_test(struct scan *s, struct gmp_insn *out, uint8_t opcode)
{
	if ((skip_modrm(s, out) & 0x30) == 0)
		skip(s, opcode == 0xf6 ? 1 : s->short_imm && !s->wide ? 2 : 4);
}

/* The maps behind 0f, 0f 38 and 0f 3a, also as VEX and EVEX number them. */
static void skip_map(struct scan *s, struct gmp_insn *out, unsigned map)
{
	const uint8_t opcode = next(s);

	if (map == 1) {
		out->is_nop |= opcode == 0x1f;
		skip_operands(s, out, two_bytes[opcode]);
	} else if (map == 3) {
		skip_operands(s, out, 'b');
	} else {
		skip_operands(s, out, map == 2 || map == 5 || map == 6 ? 'm' : '-');
	}
}

static void skip_escape(struct scan *s, struct gmp_insn *out)
{
	const uint8_t opcode = s->p < s->end ? *s->p : 0;

	if (opcode != 0x38 && opcode != 0x3a) {
		skip_map(s, out, 1);
		return;
	}
	s->p++;
	skip_map(s, out, opcode == 0x38 ? 2 : 3);
}

/* In 64-bit mode c4, c5 and 62 are always prefixes. An immediate of theirs is one byte. */
static void skip_vector(struct scan *s, struct gmp_insn *out, uint8_t prefix)
{
	unsigned map = 1;

	s->short_imm = false;
	if (prefix != 0xc5)
		map = next(s) & (prefix == 0xc4 ? 0x1f : 7);
	skip(s, prefix == 0x62 ? 2 : 1);
	skip_map(s, out, map);
}

static bool is_prefix(uint8_t b, bool *short_imm)
{
	*short_imm |= b == 0x66;
	return b == 0x66 || b == 0x2e || b == 0x36 || b == 0x3e || b == 0x26 || b == 0x64 ||
	       b == 0x65 || b == 0x67 || b == 0xf2 || b == 0xf3 || b == 0xf0;
}

bool gmp_insn_at(const uint8_t *p, const uint8_t *end, struct gmp_insn *out)
{
	struct scan s = {.p = p, .end = end - p > 15 ? p + 15 : end};
	uint8_t opcode = next(&s);

	*out = (struct gmp_insn){0};
	while (!s.bad && is_prefix(opcode, &s.short_imm))
		opcode = next(&s);
	if ((opcode & 0xf0) == 0x40) {
		s.wide = opcode & 8;
		opcode = next(&s);
	}
	if (s.bad)
		return false;
	out->is_nop = opcode == 0x90;
	if (opcode == 0x0f)
		skip_escape(&s, out);
	else if (opcode == 0xc4 || opcode == 0xc5 || opcode == 0x62)
		skip_vector(&s, out, opcode);
	else if (one_byte[opcode] == 't')
		skip_test(&s, out, opcode);
	else
		skip_operands(&s, out, one_byte[opcode]);
	out->bytes = (uint8_t)(s.p - p);
	return !s.bad;
}
