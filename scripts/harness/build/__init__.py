# SPDX-License-Identifier: GPL-2.0-only
"""Build kernels, host crates and manuals.

kernel    variants and their builds   cargo     run cargo
analyzer  a file for editors          docs      manuals as HTML, and rustdoc
"""
