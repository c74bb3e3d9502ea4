/*
 * site_call.h - what a rewritten system call does around the call. (gate.h declares what gate.S
 * calls for it.)
 */
#ifndef GMP_SITE_CALL_H
#define GMP_SITE_CALL_H

/* From the table, before the first module is rewritten. */
void gmp_site_call_init(void);

#endif
