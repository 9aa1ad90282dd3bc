# SPDX-License-Identifier: GPL-2.0-only
"""Test the backend's logic on the host.

host      tests, types, soak
coverage  lines that they reach       fuzz      the fuzz targets
"""
