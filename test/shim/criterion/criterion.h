/*
 * criterion.h - the part of Criterion that the unit tests use, in one header, for
 * ThreadSanitizer: it allows no mappings where Criterion's runner wants its arena. Every test
 * runs in a process of its own, one after the other, and the last line is Criterion's, which
 * test/run.sh reads. An argument is a part of "suite/name".
 */
#ifndef TEST_SHIM_CRITERION_H
#define TEST_SHIM_CRITERION_H

#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct shim_options {
	bool given; /* so that the list is never empty */
	int signal; /* the test passes when it dies of it */
	void (*init)(void), (*fini)(void);
	double timeout; /* seconds */
};
struct shim_test {
	const char *suite, *name;
	void (*fn)(void);
	const struct shim_options *options;
	struct shim_test *next;
};
/* One list of each for the whole program: a test program is one file. */
static struct shim_test *shim_tests, *shim_suites;
static int shim_failures; /* of the running test */

static inline void shim_add(struct shim_test **list, struct shim_test *t)
{
	while (*list)
		list = &(*list)->next;
	*list = t;
}

#define Test(s, n, ...)                                                                            \
	static void s##_##n##_impl(void);                                                          \
	__attribute__((constructor)) static void s##_##n##_add(void)                               \
	{                                                                                          \
		static const struct shim_options o = {.given = true, __VA_ARGS__};                 \
		static struct shim_test t = {#s, #n, s##_##n##_impl, &o, NULL};                    \
		shim_add(&shim_tests, &t);                                                         \
	}                                                                                          \
	static void s##_##n##_impl(void)
#define TestSuite(s, ...)                                                                          \
	__attribute__((constructor)) static void s##_suite_add(void)                               \
	{                                                                                          \
		static const struct shim_options o = {.given = true, __VA_ARGS__};                 \
		static struct shim_test t = {#s, NULL, NULL, &o, NULL};                            \
		shim_add(&shim_suites, &t);                                                        \
	}                                                                                          \
	struct shim_test

/* ---- assertions: what is checked, then the message's format and arguments ---- */

__attribute__((format(printf, 5, 6))) static inline void
shim_fail(bool fatal, const char *file, int line, const char *what, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s:%d: not %s;", file, line, what);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	shim_failures++;
	if (fatal)
		_exit(1);
}
/* As around a call of Criterion's: what another process or a fault changes is read again. */
#define shim_check(fatal, what, cond, ...)                                                         \
	(({                                                                                        \
		__asm__ volatile("" ::: "memory");                                                 \
		(cond);                                                                            \
	})                                                                                         \
		 ? (void)0                                                                         \
		 : shim_fail((fatal), __FILE__, __LINE__, (what), " " __VA_ARGS__))
#define shim_cmp(fatal, a, op, b, ...) shim_check(fatal, #a " " #op " " #b, (a)op(b), __VA_ARGS__)

#define cr_assert(c, ...)	    shim_check(true, #c, c, __VA_ARGS__)
#define cr_assert_not(c, ...)	    shim_check(true, "not " #c, !(c), __VA_ARGS__)
#define cr_assert_null(p, ...)	    shim_cmp(true, p, ==, NULL, __VA_ARGS__)
#define cr_assert_not_null(p, ...)  shim_cmp(true, p, !=, NULL, __VA_ARGS__)
#define cr_assert_eq(a, b, ...)	    shim_cmp(true, a, ==, b, __VA_ARGS__)
#define cr_assert_neq(a, b, ...)    shim_cmp(true, a, !=, b, __VA_ARGS__)
#define cr_assert_lt(a, b, ...)	    shim_cmp(true, a, <, b, __VA_ARGS__)
#define cr_assert_leq(a, b, ...)    shim_cmp(true, a, <=, b, __VA_ARGS__)
#define cr_assert_gt(a, b, ...)	    shim_cmp(true, a, >, b, __VA_ARGS__)
#define cr_assert_geq(a, b, ...)    shim_cmp(true, a, >=, b, __VA_ARGS__)
#define cr_assert_str_eq(a, b, ...) shim_check(true, #a " is " #b, !strcmp((a), (b)), __VA_ARGS__)
#define cr_assert_float_eq(a, b, e, ...)                                                           \
	shim_check(true, #a " is " #b, fabs((a) - (b)) <= (e), __VA_ARGS__)
#define cr_assert_fail(...)	    shim_check(true, "reached", false, __VA_ARGS__)
#define cr_expect(c, ...)	    shim_check(false, #c, c, __VA_ARGS__)
#define cr_expect_not(c, ...)	    shim_check(false, "not " #c, !(c), __VA_ARGS__)
#define cr_expect_null(p, ...)	    shim_cmp(false, p, ==, NULL, __VA_ARGS__)
#define cr_expect_eq(a, b, ...)	    shim_cmp(false, a, ==, b, __VA_ARGS__)
#define cr_expect_neq(a, b, ...)    shim_cmp(false, a, !=, b, __VA_ARGS__)
#define cr_expect_lt(a, b, ...)	    shim_cmp(false, a, <, b, __VA_ARGS__)
#define cr_expect_leq(a, b, ...)    shim_cmp(false, a, <=, b, __VA_ARGS__)
#define cr_expect_gt(a, b, ...)	    shim_cmp(false, a, >, b, __VA_ARGS__)
#define cr_expect_geq(a, b, ...)    shim_cmp(false, a, >=, b, __VA_ARGS__)
#define cr_expect_str_eq(a, b, ...) shim_check(false, #a " is " #b, !strcmp((a), (b)), __VA_ARGS__)
#define cr_expect_float_eq(a, b, e, ...)                                                           \
	shim_check(false, #a " is " #b, fabs((a) - (b)) <= (e), __VA_ARGS__)

/* ---- the runner ---- */

static inline const struct shim_options *shim_suite(const char *name)
{
	static const struct shim_options none;

	for (struct shim_test *s = shim_suites; s; s = s->next)
		if (!strcmp(s->suite, name))
			return s->options;
	return &none;
}

static inline void shim_child(const struct shim_test *t)
{
	const struct shim_options *suite = shim_suite(t->suite), *own = t->options;
	void (*init)(void) = own->init ? own->init : suite->init,
	     (*fini)(void) = own->fini ? own->fini : suite->fini;

	alarm((unsigned)(own->timeout > 0 ? own->timeout : suite->timeout));
	if (init)
		init();
	t->fn();
	if (fini)
		fini();
	fflush(NULL);
	_exit(shim_failures != 0);
}

static inline bool shim_passes(const struct shim_test *t)
{
	int status = -1;
	pid_t pid = fork();

	if (!pid)
		shim_child(t);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return false;
	if (t->options->signal ? WIFSIGNALED(status) && WTERMSIG(status) == t->options->signal
			       : !status)
		return true;
	fprintf(stderr, "[FAIL] %s::%s: status %x\n", t->suite, t->name, status);
	return false;
}

int main(int argc, char **argv)
{
	unsigned tested = 0, passing = 0;
	char name[256];

	for (struct shim_test *t = shim_tests; t; t = t->next) {
		snprintf(name, sizeof name, "%s/%s", t->suite, t->name);
		if (argc > 1 && !strstr(name, argv[1]))
			continue;
		tested++;
		passing += shim_passes(t);
	}
	printf("[====] Synthesis: Tested: %u | Passing: %u | Failing: %u | Crashing: 0\n", tested,
	       passing, tested - passing);
	return passing != tested;
}

#endif
