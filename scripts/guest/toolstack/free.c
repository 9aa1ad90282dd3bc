// SPDX-License-Identifier: GPL-2.0-only
/*
 * Prints the number of Xen's free pages, which "xl info" rounds to MiB.
 */
#include <err.h>
#include <stdio.h>
#include <xenctrl.h>

int main(void)
{
	xc_interface *xen = xc_interface_open(NULL, NULL, 0);
	xc_physinfo_t info = { 0 };

	if (!xen || xc_physinfo(xen, &info))
		err(1, "physinfo");
	printf("%lu\n", (unsigned long)info.free_pages);
	return 0;
}
