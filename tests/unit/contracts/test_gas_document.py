"""The defaults that docs/GAS.md shows are those that a new chain gets."""

from __future__ import annotations

import re
from pathlib import Path

from lazai_core.chain.system_contracts import DEFAULT_GAS_PARAMETERS

DOCUMENT = Path(__file__).parents[3] / "docs" / "GAS.md"


def test_the_document_gives_the_defaults_of_the_chain() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    names = "alpha|beta|gamma|compute gas target|tip"
    rows = dict(re.findall(rf"^\| ({names}) \| [\d, ]+ \| ([^|]+) \|", text, re.MULTILINE))
    held = DEFAULT_GAS_PARAMETERS

    assert rows == {
        "alpha": f"{held.alpha.numerator} / {held.alpha.denominator}",
        "beta": f"{held.beta.numerator} / {held.beta.denominator}",
        "gamma": f"{held.gamma:,}",
        "compute gas target": f"{held.compute_gas_target:,}",
        "tip": f"{held.tip:,} wei",
    }
