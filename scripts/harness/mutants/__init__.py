# SPDX-License-Identifier: GPL-2.0
"""Put bugs in, which the host tests must notice.

mutants     which they are, and what has become of them
schemata    all of them in one program
mutant_run  run the tests for one
"""
