# SPDX-License-Identifier: GPL-2.0
"""Make the repository a series of patches for the kernel.

series       what goes into which patch
strip_tests  files without their tests
patches      the series as files, checked
series_boot  the series built, and booted
"""
