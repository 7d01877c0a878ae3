"""Options of the policy. Whatever every node must agree on is on chain or a rule of the code, never here."""

from __future__ import annotations

from attrs import field, frozen, validators


@frozen(kw_only=True)
class Eip1559Options:
    """How this node quotes; other nodes may differ."""

    quote_blocks: int = field(
        default=8,
        validator=validators.and_(validators.ge(1), validators.le(256)),
        metadata={
            "doc": "blocks for which a quote holds: it has room for the base fee to rise an eighth in each, 1 to 256"
        },
    )
