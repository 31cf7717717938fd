"""Lets a torchvision be imported that was built for another torch: SGLang does, come what may."""

from __future__ import annotations

import sys
from types import ModuleType

REGISTERS = "torchvision._meta_registrations"  # operators of a library that cannot be loaded

sys.modules.setdefault(REGISTERS, ModuleType(REGISTERS))
