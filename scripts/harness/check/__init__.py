# SPDX-License-Identifier: GPL-2.0-only
"""Check the files of the repository.

checks        linters, and the table of checks
links         links of the manuals      callers  what may wait, in the kernel
coverage_map  tests that it names       commits  messages of commits
"""
