# SPDX-License-Identifier: GPL-2.0-only
"""Count what operations cost.

counter   the plugin that counts      measure   a boot whose clock counts instructions
bench     sides beside each other     profiler  one operation, by function
report    figures: table, JSON        chart     figures: a picture
"""
