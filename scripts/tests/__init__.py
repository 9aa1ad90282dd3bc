# SPDX-License-Identifier: GPL-2.0-only
"""Tests of the scripts. Tests of a folder of harness/ are in a folder of the same name."""

from pathlib import Path

SCRIPTS = Path(__file__).resolve().parent.parent
REPO = SCRIPTS.parent
