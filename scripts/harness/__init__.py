# SPDX-License-Identifier: GPL-2.0-only
"""Build, boot and judge the kernel.

build     kernels, crates, manuals    boot      machines and their consoles
check     the repository's files      series    patches for the kernel
host      tests on the host           mutants   bugs that they must notice
bench     what operations cost        test_plan everything, in order
paths     where things are            settings  numbers in variables
cli       output and errors           stream    follow a child's output
load_script  a script as a module
"""
