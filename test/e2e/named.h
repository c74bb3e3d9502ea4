/* named.h - what a contract program can be asked to do, by its name. */
#ifndef E2E_NAMED_H
#define E2E_NAMED_H

struct named {
	const char *name;
	void (*fn)(void);
};

#endif
