# SPDX-License-Identifier: GPL-2.0-only
"""Insert bugs, which the host tests must notice.

mutants     the list of them, and their outcomes
schemata    all of them in one program
mutant_run  run the tests for one
"""
