"""The order of the protocol's messages, as far as both sides share it."""

from __future__ import annotations

from lazai_core.api.proof import Statement, VerifyingKey
from lazai_core.api.transcript import Transcript

from .parameters import ParameterSet

DOMAIN = "lazai/stark/v1"


def begin(parameters: ParameterSet, key: VerifyingKey, statement: Statement) -> Transcript:
    """The transcript with everything public absorbed."""
    transcript = Transcript(DOMAIN)
    transcript.absorb("parameters", parameters.digest)
    transcript.absorb("program", statement.program_digest)
    transcript.absorb("verifying key", key.digest)
    transcript.absorb("statement", statement.digest)
    return transcript
