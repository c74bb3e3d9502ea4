/* record.c - see record.h. */
#include "core/count/record.h"

void (*_Atomic gmc_recorder)(const struct gm_record *r);
