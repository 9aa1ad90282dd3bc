# SPDX-License-Identifier: GPL-2.0-only
"""Load scripts without a suffix as modules, for their tests and for code that they share."""

import importlib.machinery
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

_SCRIPTS = Path(__file__).resolve().parent.parent


def load_script(name: str) -> ModuleType:
    """Import scripts/NAME."""
    loader = importlib.machinery.SourceFileLoader(name, str(_SCRIPTS / name))
    spec = importlib.util.spec_from_loader(name, loader)
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look up their module.
    sys.modules[name] = module
    sys.dont_write_bytecode = True
    loader.exec_module(module)
    return module
