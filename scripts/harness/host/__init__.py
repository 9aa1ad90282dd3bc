# SPDX-License-Identifier: GPL-2.0
"""Test the backend's logic on the host.

host      tests, types, soak
coverage  lines that they reach       fuzz      the fuzz targets
"""
