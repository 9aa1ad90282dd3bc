# SPDX-License-Identifier: GPL-2.0-only
"""Turn the repository into a series of patches for the kernel.

series       the contents of each patch
strip_tests  files without their tests
patches      the series as files, checked
series_boot  the series built, and booted
"""
