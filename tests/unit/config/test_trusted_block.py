"""A trusted block is a height and a hash, and nothing like it."""

from __future__ import annotations

import pytest

from lazai_core.config.schema import NetworkSection
from lazai_core.config.trusted_block import TrustedBlock

HASH = "0x" + "ab" * 32


def test_a_height_and_a_hash() -> None:
    assert TrustedBlock.parse(f"77:{HASH}") == TrustedBlock(height=77, hash=bytes.fromhex(HASH[2:]))  # type: ignore[arg-type]
    assert NetworkSection(trust=f"77:{HASH}").trust
    assert not NetworkSection().trust


@pytest.mark.parametrize(
    "text",
    [f"0:{HASH}", f"07:{HASH}", f"-1:{HASH}", HASH, f"7:{HASH}00", f"7:{HASH[:-1]}", "7:" + HASH[2:], f"7 :{HASH}"],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="HEIGHT:0x<hash"):
        NetworkSection(trust=text)
