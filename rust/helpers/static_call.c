// SPDX-License-Identifier: GPL-2.0-only

#include <linux/static_call.h>

#ifndef CONFIG_HAVE_STATIC_CALL_INLINE
__rust_helper void
rust_helper___static_call_update(struct static_call_key *key, void *tramp, void *func)
{
	__static_call_update(key, tramp, func);
}
#endif
