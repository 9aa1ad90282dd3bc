// SPDX-License-Identifier: GPL-2.0
/* The same as a module that may use only what is exported to all. */
#define CLOSED
#include "inline_ptes.c"
