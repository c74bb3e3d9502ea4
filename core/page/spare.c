/* How much may be kept for speed. See spare.h. */
#include "core/page/spare.h"

_Atomic int64_t gmc_retain_most = INT64_MAX, gmc_frames_most = INT64_MAX;
_Atomic bool gmc_spare_unwatched;
