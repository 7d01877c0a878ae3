"""A block that an operator trusts: "HEIGHT:0x<hash>"."""

from __future__ import annotations

import re

from attrs import frozen

from lazai_core.api.types import Hash32, Height

_PATTERN = re.compile(r"([1-9][0-9]{0,17}):0x([0-9a-fA-F]{64})")


@frozen(kw_only=True)
class TrustedBlock:
    """A decided block that the operator got to know from somebody it trusts."""

    height: Height
    hash: Hash32

    @classmethod
    def parse(cls, text: str) -> TrustedBlock:
        """Raises ValueError saying what is wrong with it."""
        found = _PATTERN.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is no block: write HEIGHT:0x<hash of the block, 64 hexadecimal digits>")
        return cls(height=Height(int(found[1])), hash=Hash32(bytes.fromhex(found[2])))
