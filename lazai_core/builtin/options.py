"""Options of built-in entries."""

from __future__ import annotations

from attrs import field, frozen, validators


@frozen(kw_only=True)
class AttestationOptions:
    """How a verifier works."""

    cache_entries_max: int = field(
        default=4096,
        validator=validators.ge(1),
        metadata={"doc": "Verified statements remembered, so that none is run twice."},
    )
    models_loaded_max: int = field(
        default=8, validator=validators.ge(1), metadata={"doc": "Models kept loaded for running again."}
    )
