"""Stand-ins for the parts of a node that a `build` function may ask for, so that one entry can be built alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lazai_core.api.compute import ConstantSource, ModelManifest
from lazai_core.api.consensus import Validator
from lazai_core.api.entries import Entry
from lazai_core.api.errors import StorageError
from lazai_core.api.hashing import address_of_private_key, sign_digest
from lazai_core.api.needs import ChainParameters, ProofSystems
from lazai_core.api.program import Program
from lazai_core.api.types import Address, Gas, ModelId
from lazai_core.builtin.reference_coprocessor import build_reference
from lazai_core.node.injection import Need, call_build, read_needs
from lazai_core.testing.chain_port import GENESIS_HASH
from lazai_core.testing.clock import ManualClock
from lazai_core.testing.rng import SeededRng
from lazai_core.testing.sample import CHAIN_ID, Sample

KEY_BYTES_MAX = 480
VALUE_BYTES_MAX = 64 * 1024 * 1024


def account_key(number: int) -> bytes:
    """The private key of test account `number`. Everybody knows it: never give it anything of value."""
    return hashlib.sha256(b"lazai/testing/key/v1" + number.to_bytes(8, "big")).digest()


class KnownIdentity:
    """`NodeIdentity` of a test account."""

    def __init__(self, number: int = 0) -> None:
        self._private_key = account_key(number)
        self.address: Address = address_of_private_key(self._private_key)

    def sign(self, digest: bytes) -> bytes:
        """65-byte recoverable signature over 32 bytes."""
        return sign_digest(digest, self._private_key)


class SampleStore:
    """`ProgramStore` of sample programs."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._samples = {sample.model.program.digest(): sample for sample in samples}

    def program(self, model: ModelId) -> Program | None:
        """The program, or None."""
        found = self._samples.get(model)
        return None if found is None else found.model.program

    def constants(self, model: ModelId) -> ConstantSource | None:
        """Its constants, or None."""
        found = self._samples.get(model)
        return None if found is None else found.model

    def manifest(self, model: ModelId) -> ModelManifest | None:
        """A manifest with the sample's name, or None."""
        found = self._samples.get(model)
        if found is None:
            return None
        return ModelManifest(name=found.name, kind="tensor", program_digest=model.hex())

    def models(self) -> Sequence[ModelId]:
        """All digests, ascending."""
        return sorted(self._samples)


class DictStore:
    """`KeyValueStore` that forgets."""

    def __init__(self) -> None:
        self._entries: dict[bytes, bytes] | None = {}

    def _open(self) -> dict[bytes, bytes]:
        if self._entries is None:
            raise StorageError("the store is closed")
        return self._entries

    def get(self, key: bytes) -> bytes | None:
        """The value, or None."""
        return self._open().get(key)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Entries under a prefix, in order of key, as they are now."""
        entries = self._open()
        return iter([(key, entries[key]) for key in sorted(entries) if key.startswith(prefix)])

    def batch(self) -> DictBatch:
        """A fresh, empty batch."""
        return DictBatch(self)

    def apply(self, writes: Mapping[bytes, bytes | None]) -> None:
        """Take over the writes of a batch. The dictionary is exchanged whole, so that no reader sees half."""
        merged = {**self._open(), **writes}
        self._entries = {key: value for key, value in merged.items() if value is not None}

    def close(self) -> None:
        """Forget everything."""
        self._entries = None


class DictBatch:
    """`WriteBatch` of a `DictStore`."""

    def __init__(self, store: DictStore) -> None:
        self._store = store
        self._writes: dict[bytes, bytes | None] | None = {}

    def _pending(self) -> dict[bytes, bytes | None]:
        if self._writes is None:
            raise StorageError("the batch was committed")
        return self._writes

    def put(self, key: bytes, value: bytes) -> None:
        """Set a value."""
        if not 1 <= len(key) <= KEY_BYTES_MAX:
            raise StorageError(f"a key has 1 to {KEY_BYTES_MAX} bytes, not {len(key)}")
        if len(value) > VALUE_BYTES_MAX:
            raise StorageError(f"a value has at most {VALUE_BYTES_MAX} bytes, not {len(value)}")
        self._pending()[key] = value

    def delete(self, key: bytes) -> None:
        """Remove a key."""
        self._pending()[key] = None

    def commit(self) -> None:
        """Apply all writes."""
        self._store.apply(self._pending())
        self._writes = None


def chain_parameters(
    validators: Sequence[Validator] = (), *, plugins: Mapping[str, int] | None = None
) -> ChainParameters:
    """What a genesis would fix for a test chain; one validator, test account 0, unless others are given."""
    alone = (Validator(address=KnownIdentity(0).address, power=1),)
    return ChainParameters(
        chain_id=CHAIN_ID,
        genesis_hash=GENESIS_HASH,
        block_gas_limit=Gas(30_000_000),
        inline_flops_max=10_000_000,
        inline_memory_bytes_max=1 << 20,
        validators=tuple(validators) or alone,
        plugins=plugins or {},
    )


def build_entry(
    entry: Entry, *, options: object = None, samples: Sequence[Sample] = (), **parts: object
) -> Any:
    """Build what an entry offers as a node would, from its annotations, with stand-ins for the rest of the node.

    `options` are the entry's defaults unless given. `parts` replace stand-ins by the name of the need, in lower
    case: `identity`, `chain`, `store`, `coprocessor`, `kernels`, `programs`, `proofs`, `gas`, `gateway`, `clock`,
    `rng`, `path`. Raises AssemblyError, as a node does, for an annotation that is not on the list.
    """
    needs = read_needs(f"entry {entry.name}", entry.build, entry.options)
    given = _given(parts)
    if options is not None:
        given[Need.OPTIONS] = options

    def provide(need: Need) -> object:
        if need not in given:
            given[need] = _stand_in(need, entry, samples, given)
        return given[need]

    return call_build(f"entry {entry.name}", entry.build, needs, provide)


def _given(parts: Mapping[str, object]) -> dict[Need, object]:
    unknown = sorted(set(parts) - {need.name.lower() for need in Need})
    if unknown:
        raise TypeError(f"there are no parts called {unknown}; parts are {[need.name.lower() for need in Need]}")
    return {Need[name.upper()]: value for name, value in parts.items()}


def _stand_in(need: Need, entry: Entry, samples: Sequence[Sample], given: Mapping[Need, object]) -> object:
    match need:
        case Need.OPTIONS:
            return entry.options()
        case Need.IDENTITY:
            return KnownIdentity()
        case Need.CHAIN:
            return chain_parameters()
        case Need.STORE:
            return DictStore()
        case Need.COPROCESSOR:
            return build_reference()
        case Need.KERNELS:
            return build_reference().tensors
        case Need.PROGRAMS:
            return SampleStore(samples)
        case Need.PROOFS:
            return ProofSystems({})
        case Need.CLOCK:
            return ManualClock()
        case Need.RNG:
            return SeededRng()
    # A gas policy, a gateway and a folder have no stand-in that fits every test.
    return None
