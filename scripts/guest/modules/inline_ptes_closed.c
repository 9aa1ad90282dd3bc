// SPDX-License-Identifier: GPL-2.0-only
/* The same as a module that may use only symbols without GPL restriction. */
#define CLOSED
#include "inline_ptes.c"
