# SPDX-License-Identifier: GPL-2.0
"""Look at the files of the repository.

checks        linters, and all the others
links         links of the manuals      callers  what may wait, in the kernel
coverage_map  tests that it names       commits  messages of commits
"""
