/*
 * log.c - lines for people, made and written without libc: a small printf and one write.
 */
#include "core/sys/sys.h"
#include <errno.h>
#include <signal.h>
#include <time.h>

int gmi_log_level = GM_LOG_WARN;

struct out {
	char *buf;
	size_t room, len; /* room includes the terminator; len counts on when the room is used up */
};
struct spec {
	bool zero;
	unsigned width, precision;
	int longs; /* how many of l, ll, z: every one of them is 64 bits */
};

static void put(struct out *o, char c)
{
	if (o->len + 1 < o->room)
		o->buf[o->len] = c;
	o->len++;
}

static void put_padded(struct out *o, const char *s, size_t n, unsigned width, char pad)
{
	for (size_t i = n; i < width; i++)
		put(o, pad);
	for (size_t i = 0; i < n; i++)
		put(o, s[i]);
}

static void put_number(struct out *o, uint64_t v, bool minus, unsigned base, const struct spec *sp)
{
	char digits[24];
	size_t at = sizeof digits;

	do
		digits[--at] = "0123456789abcdef"[v % base];
	while ((v /= base));
	if (!minus) {
		put_padded(o, digits + at, sizeof digits - at, sp->width, sp->zero ? '0' : ' ');
	} else if (sp->zero) {
		put(o, '-');
		put_padded(o, digits + at, sizeof digits - at, sp->width ? sp->width - 1 : 0, '0');
	} else {
		digits[--at] = '-';
		put_padded(o, digits + at, sizeof digits - at, sp->width, ' ');
	}
}

static void put_string(struct out *o, const char *s, const struct spec *sp)
{
	size_t n = 0;

	if (!s)
		s = "(null)";
	while (n < sp->precision && s[n])
		n++;
	put_padded(o, s, n, sp->width, ' ');
}

static unsigned parse_width(const char **f, va_list *ap)
{
	unsigned n = 0;

	if (**f == '*') {
		int given = va_arg(*ap, int);
		++*f;
		return given < 0 ? 0 : (unsigned)given;
	}
	for (; **f >= '0' && **f <= '9'; ++*f)
		n = n * 10 + (unsigned)(**f - '0');
	return n;
}

static struct spec parse_spec(const char **f, va_list *ap)
{
	struct spec sp = {.precision = UINT32_MAX};

	if (**f == '0')
		sp.zero = true;
	sp.width = parse_width(f, ap);
	if (**f == '.') {
		++*f;
		sp.precision = parse_width(f, ap);
	}
	for (; **f == 'l' || **f == 'z'; ++*f)
		sp.longs++;
	return sp;
}

/* One conversion; f points behind the %. Returns where the format goes on. */
static const char *convert(struct out *o, const char *f, va_list *ap)
{
	const char *start = f;
	struct spec sp = parse_spec(&f, ap);
	char c;

	switch (*f) {
	case 'd': {
		int64_t v = sp.longs ? va_arg(*ap, int64_t) : va_arg(*ap, int);
		put_number(o, v < 0 ? -(uint64_t)v : (uint64_t)v, v < 0, 10, &sp);
		break;
	}
	case 'u':
	case 'x':
		put_number(o, sp.longs ? va_arg(*ap, uint64_t) : va_arg(*ap, unsigned), false,
			   *f == 'u' ? 10 : 16, &sp);
		break;
	case 'p':
		put(o, '0');
		put(o, 'x');
		put_number(o, (uintptr_t)va_arg(*ap, void *), false, 16, &sp);
		break;
	case 'c':
		c = (char)va_arg(*ap, int);
		put_padded(o, &c, 1, sp.width, ' ');
		break;
	case 's':
		put_string(o, va_arg(*ap, const char *), &sp);
		break;
	case '%':
		put(o, '%');
		break;
	default: /* not ours: show it */
		put(o, '%');
		return start;
	}
	return f + 1;
}

int gmi_vsnprintf(char *buf, size_t bytes, const char *fmt, va_list ap)
{
	struct out o = {.buf = buf, .room = bytes};
	va_list args;

	va_copy(args, ap);
	while (*fmt) {
		char c = *fmt++;
		if (c == '%')
			fmt = convert(&o, fmt, &args);
		else
			put(&o, c);
	}
	va_end(args);
	if (bytes)
		buf[gm_min(o.len, bytes - 1)] = 0;
	return (int)o.len;
}

int gmi_snprintf(char *buf, size_t bytes, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int n = gmi_vsnprintf(buf, bytes, fmt, ap);
	va_end(ap);
	return n;
}

/*
 * A program that lives on with its stderr closed, or at the limit for files (RLIMIT_FSIZE), must
 * not die of our line: the signal, blocked here, is taken off again, unless it was pending before.
 */
static void write_quietly(int fd, const char *buf, size_t n)
{
	gm_sigmask old = gmi_block_signals();
	uint64_t before = 0, sent;
	struct timespec now = {0, 0};
	long r;

	gm_sys2(SYS_rt_sigpending, &before, sizeof before);
	while (n && ((r = gm_sys3(SYS_write, fd, buf, n)) > 0 || r == -EINTR))
		if (r > 0)
			buf += r, n -= (size_t)r;
	sent = 1ull << ((r == -EPIPE ? SIGPIPE : SIGXFSZ) - 1);
	if (n && (r == -EPIPE || r == -EFBIG) && !(before & sent))
		gm_sys4(SYS_rt_sigtimedwait, &sent, NULL, &now, sizeof sent);
	gmi_restore_signals(old);
}

void gmi_log(enum gm_log_level level, const char *fmt, ...)
{
	char line[1024];
	va_list ap;

	if ((int)level > gmi_log_level)
		return;
	size_t n = (size_t)gmi_snprintf(line, sizeof line, "gmem: ");
	va_start(ap, fmt);
	n += (size_t)gmi_vsnprintf(line + n, sizeof line - n, fmt, ap);
	va_end(ap);
	n = gm_min(n, sizeof line - 2);
	line[n++] = '\n';
	write_quietly(2, line, n);
}
