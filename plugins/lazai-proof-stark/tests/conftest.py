"""Lets the tests of this folder share `attack_cases` and `circuit_cases`: with importlib mode nothing else does."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
