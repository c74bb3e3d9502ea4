/* Bytes in and out of a device's memory where it is mapped here. See bytes.h. */
#include "core/page/bytes.h"
#include "core/sys/inject.h"
#include <errno.h>

bool gmc_copy_direct(struct gm_dev *dev, enum gm_op_kind kind, void *host, uint64_t pa, size_t len,
		     int *err)
{
	static const uint8_t site[] = {[GM_OP_COPY_IN] = GM_INJ_COPYIN,
				       [GM_OP_COPY_OUT] = GM_INJ_COPYOUT,
				       [GM_OP_ZERO] = GM_INJ_ZERO};

	*err = gm_inject(site[kind]) ? -EIO : 0;
	if (*err)
		return true;
	if (!dev->aperture)
		return false;
	if (kind == GM_OP_ZERO)
		gm_zero(dev->aperture + pa, len);
	else if (kind == GM_OP_COPY_IN)
		gm_copy(dev->aperture + pa, host, len);
	else
		gm_copy(host, dev->aperture + pa, len);
	return true;
}
