"""The helpers beside these tests (`plonk_cases`, `plonk_circuits`, `plonk_evm`) are imported by name."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from plonk_cases import case, ceremony_path, snarkjs

__all__ = ["case", "ceremony_path", "snarkjs"]
