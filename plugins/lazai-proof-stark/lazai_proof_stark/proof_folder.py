"""A proof as a folder: `proof.bin`, `statement.json`, `verifying_key.bin`, and `profile.json` for people.

The first three are all a verifier needs. `statement.json` holds exactly the statement's fields and the name of what it
is about; unknown or missing fields are refused, so that nothing in it goes unchecked.
"""

from __future__ import annotations

import json
from pathlib import Path

from attrs import frozen

from lazai_core.api.errors import ProofMalformed
from lazai_core.api.job import INPUT_BYTES_MAX, OUTPUT_BYTES_MAX, PROOF_BYTES_MAX, ProofEnvelope, ResourceUsage
from lazai_core.api.proof import Statement, VerifyingKey
from lazai_core.api.types import JobId, ModelId, to_hex

from .key_data import DATA_BYTES_MAX
from .model_key import SYSTEM_NAME, VERSION

FORMAT = "lazai/stark/statement/v1"
STATEMENT, PROOF, KEY, KEY_INFO, PROFILE = (
    "statement.json",
    "proof.bin",
    "verifying_key.bin",
    "verifying_key.json",
    "profile.json",
)
STATEMENT_BYTES_MAX = 2 * (INPUT_BYTES_MAX + OUTPUT_BYTES_MAX) + 4096
_FIELDS = {
    "format",
    "system",
    "version",
    "model_digest",
    "program_digest",
    "job_id",
    "chain_id",
    "input",
    "output",
    "flops",
    "memory_bytes_peak",
    "tokens_in",
}


@frozen(kw_only=True)
class ProofFolder:
    """What a verifier reads. `model_digest` is the verifying key's digest: it binds program, weights and parameters."""

    key: VerifyingKey
    statement: Statement
    proof: ProofEnvelope

    @property
    def model_digest(self) -> bytes:
        """Identity of the committed model."""
        return self.key.digest


def write_key(folder: Path, key: VerifyingKey) -> None:
    """Write the key and a description of it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / KEY).write_bytes(key.data)
    document = {
        "system": key.system,
        "version": key.version,
        "model_digest": to_hex(key.digest),
        "program_digest": to_hex(key.program_digest),
        "bytes": len(key.data),
    }
    (folder / KEY_INFO).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def write_folder(folder: Path, content: ProofFolder) -> None:
    """Write what a verifier needs. Raises OSError."""
    write_key(folder, content.key)
    (folder / PROOF).write_bytes(content.proof.data)
    statement = content.statement
    document = {
        "format": FORMAT,
        "system": content.proof.system,
        "version": content.proof.version,
        "model_digest": to_hex(content.model_digest),
        "program_digest": to_hex(statement.program_digest),
        "job_id": to_hex(statement.job_id),
        "chain_id": statement.chain_id,
        "input": to_hex(statement.input),
        "output": to_hex(statement.output),
        "flops": statement.usage.flops,
        "memory_bytes_peak": statement.usage.memory_bytes_peak,
        "tokens_in": statement.usage.tokens_in,
    }
    (folder / STATEMENT).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def read_folder(folder: Path) -> ProofFolder:
    """Read it back; nothing is verified yet. Raises ProofMalformed for missing, oversized or misshapen files."""
    document = _Document(_read(folder / STATEMENT, STATEMENT_BYTES_MAX))
    if document.text("format") != FORMAT or document.text("system") != SYSTEM_NAME:
        raise ProofMalformed(f"{STATEMENT}: format {FORMAT!r} and system {SYSTEM_NAME!r} are expected")
    version = document.number("version", 2**32 - 1)
    if version != VERSION:
        raise ProofMalformed(f"{STATEMENT}: version {version} is not known, {VERSION} is")
    statement = Statement(
        program_digest=ModelId(document.data("program_digest", 32)),
        job_id=JobId(document.data("job_id", 32)),
        chain_id=document.number("chain_id", 2**64 - 1),
        input=document.data("input"),
        output=document.data("output"),
        usage=ResourceUsage(
            flops=document.number("flops", 2**64 - 1),
            memory_bytes_peak=document.number("memory_bytes_peak", 2**64 - 1),
            tokens_in=document.number("tokens_in", 2**64 - 1),
        ),
    )
    key = VerifyingKey(
        system=SYSTEM_NAME,
        version=version,
        program_digest=statement.program_digest,
        data=_read(folder / KEY, DATA_BYTES_MAX),
    )
    if document.data("model_digest", 32) != key.digest:
        raise ProofMalformed(f"{STATEMENT} names another model digest than {KEY} has")
    proof = ProofEnvelope(system=SYSTEM_NAME, version=version, data=_read(folder / PROOF, PROOF_BYTES_MAX))
    return ProofFolder(key=key, statement=statement, proof=proof)


def _read(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as cause:
        raise ProofMalformed(f"{path} cannot be read: {cause.strerror or cause}") from cause
    if len(data) > most:
        raise ProofMalformed(f"{path} is longer than {most} bytes")
    return data


class _Document:
    """A JSON object with exactly the expected fields."""

    def __init__(self, data: bytes) -> None:
        try:
            table = json.loads(data.decode("utf-8"))
        except (ValueError, RecursionError) as cause:
            raise ProofMalformed(f"{STATEMENT} is not JSON: {cause}") from cause
        if not isinstance(table, dict) or table.keys() != _FIELDS:
            raise ProofMalformed(f"{STATEMENT} must be an object with the fields {', '.join(sorted(_FIELDS))}")
        self._table = table

    def text(self, name: str) -> str:
        value = self._table[name]
        if not isinstance(value, str):
            raise ProofMalformed(f"{STATEMENT}: {name} must be a text")
        return value

    def number(self, name: str, most: int) -> int:
        value = self._table[name]
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
            raise ProofMalformed(f"{STATEMENT}: {name} must be a whole number from 0 to {most}")
        return value

    def data(self, name: str, length: int | None = None) -> bytes:
        return hex_bytes(self.text(name), f"{STATEMENT}: {name}", length)


def hex_bytes(text: str, what: str, length: int | None = None) -> bytes:
    """Bytes of hexadecimal digits with 0x in front. Raises ProofMalformed."""
    digits = text[2:] if text.startswith("0x") else ""
    # bytes.fromhex skips blanks, so only digits may come this far.
    if digits.strip("0123456789abcdef") or len(digits) % 2 or not text.startswith("0x"):
        raise ProofMalformed(f"{what} must be lower-case hexadecimal digits after 0x")
    data = bytes.fromhex(digits)
    if length is not None and len(data) != length:
        raise ProofMalformed(f"{what} must have {length} bytes, it has {len(data)}")
    return data
