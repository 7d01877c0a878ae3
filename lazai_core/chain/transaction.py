"""Signed Ethereum transactions of types 0, 1, 2 and 4: canonical bytes, sender, intrinsic gas, a signer.

Sources: EIP-155, EIP-2718, EIP-2930, EIP-1559, EIP-3860, EIP-7623, EIP-7702. Blob transactions (type 3) are
refused: the chain keeps no blobs.
"""

from __future__ import annotations

from functools import cached_property

from attrs import evolve, field, frozen

from lazai_core.api.errors import BadSignature, EncodingError, InvalidTransaction
from lazai_core.api.hashing import SECP256K1_ORDER, keccak256, recover_address, sign_digest
from lazai_core.api.types import Address, Gas, Hash32, Wei

from .rlp_codec import Item, decode, encode, integer, to_bytes, to_integer, to_list

LEGACY, ACCESS_LIST, DYNAMIC_FEE, BLOB, SET_CODE = 0, 1, 2, 3, 4
TRANSACTION_BYTES_MAX = 32 * 1024 * 1024
NONCE_MAX = 2**64 - 2
"""EIP-2681: 2^64 - 1 can never be used."""

_GAS_BASE = 21_000
_GAS_CREATE = 32_000
_GAS_TOKEN = 4
_GAS_TOKEN_FLOOR = 10
_TOKENS_NONZERO_BYTE = 4
_GAS_ACCESS_ADDRESS = 2_400
_GAS_ACCESS_SLOT = 1_900
_GAS_AUTHORIZATION = 25_000
_GAS_INITCODE_WORD = 2
INITCODE_BYTES_MAX = 49_152

AccessList = tuple[tuple[Address, tuple[int, ...]], ...]


@frozen(kw_only=True)
class SetCodeAuthorization:
    """An account's permission to run another account's code as its own (EIP-7702)."""

    chain_id: int
    address: Address
    nonce: int
    y_parity: int = 0
    r: int = 0
    s: int = 0

    def digest(self) -> Hash32:
        """The 32 bytes that the authority signs."""
        return keccak256(b"\x05" + encode([integer(self.chain_id), self.address, integer(self.nonce)]))

    def signed(self, private_key: bytes) -> SetCodeAuthorization:
        """This authorisation with the authority's signature."""
        r, s, y_parity = _split_signature(sign_digest(self.digest(), private_key))
        return evolve(self, r=r, s=s, y_parity=y_parity)

    def authority(self) -> Address:
        """The account that signed. Raises BadSignature."""
        return _recover(self.digest(), self.y_parity, self.r, self.s)

    def items(self) -> list[Item]:
        """The RLP list."""
        numbers = [integer(value) for value in (self.nonce, self.y_parity, self.r, self.s)]
        return [integer(self.chain_id), self.address, *numbers]


@frozen(kw_only=True)
class Transaction:
    """One transaction. `to` is empty where a contract is created; fees in wei per unit of gas.

    For types 0 and 1 both fee fields hold the gas price. `chain_id` is None for a legacy transaction without EIP-155.
    """

    type_id: int = DYNAMIC_FEE
    chain_id: int | None
    nonce: int
    max_fee_per_gas: Wei
    max_priority_fee_per_gas: Wei
    gas: Gas
    to: bytes = b""
    value: Wei = Wei(0)
    data: bytes = field(default=b"", repr=lambda data: f"<{len(data)} bytes>")
    access_list: AccessList = ()
    authorizations: tuple[SetCodeAuthorization, ...] = ()
    y_parity: int = 0
    r: int = 0
    s: int = 0

    @cached_property
    def raw(self) -> bytes:
        """Canonical signed bytes."""
        if self.type_id == LEGACY:
            v = 27 + self.y_parity if self.chain_id is None else 35 + 2 * self.chain_id + self.y_parity
            return encode([*self._unsigned_items(), *map(integer, (v, self.r, self.s))])
        signature = [integer(value) for value in (self.y_parity, self.r, self.s)]
        return bytes((self.type_id,)) + encode([*self._unsigned_items(), *signature])

    @cached_property
    def hash(self) -> Hash32:
        """Keccak-256 of the signed bytes."""
        return keccak256(self.raw)

    @cached_property
    def sender(self) -> Address:
        """The account that signed. Raises InvalidTransaction for an impossible signature."""
        try:
            return _recover(self.signing_digest(), self.y_parity, self.r, self.s)
        except BadSignature as cause:
            raise InvalidTransaction(f"the transaction's signature is impossible: {cause.message}") from cause

    def signing_digest(self) -> Hash32:
        """The 32 bytes that the sender signs."""
        if self.type_id != LEGACY:
            return keccak256(bytes((self.type_id,)) + encode(self._unsigned_items()))
        protection = [] if self.chain_id is None else [integer(self.chain_id), b"", b""]
        return keccak256(encode([*self._unsigned_items(), *protection]))

    def signed(self, private_key: bytes) -> Transaction:
        """This transaction with its sender's signature."""
        r, s, y_parity = _split_signature(sign_digest(self.signing_digest(), private_key))
        return evolve(self, r=r, s=s, y_parity=y_parity)

    @property
    def tokens(self) -> int:
        """Calldata tokens: a zero byte is one, another byte four (EIP-7623)."""
        zeros = self.data.count(0)
        return zeros + (len(self.data) - zeros) * _TOKENS_NONZERO_BYTE

    @cached_property
    def intrinsic_gas(self) -> Gas:
        """Gas before execution, without the words of init code, which py-evm charges as it starts."""
        slots = sum(len(slots) for _, slots in self.access_list)
        return Gas(
            _GAS_BASE
            + (0 if self.to else _GAS_CREATE)
            + self.tokens * _GAS_TOKEN
            + len(self.access_list) * _GAS_ACCESS_ADDRESS
            + slots * _GAS_ACCESS_SLOT
            + len(self.authorizations) * _GAS_AUTHORIZATION
        )

    @property
    def gas_least(self) -> Gas:
        """The least gas limit that is valid: intrinsic gas with init code, or the calldata floor."""
        words = 0 if self.to else (len(self.data) + 31) // 32
        floor = _GAS_BASE + self.tokens * _GAS_TOKEN_FLOOR
        return Gas(max(self.intrinsic_gas + words * _GAS_INITCODE_WORD, floor))

    def _unsigned_items(self) -> list[Item]:
        fee, tip = integer(self.max_fee_per_gas), integer(self.max_priority_fee_per_gas)
        tail: list[Item] = [integer(self.gas), self.to, integer(self.value), self.data]
        if self.type_id == LEGACY:
            return [integer(self.nonce), fee, *tail]
        entries: list[Item] = [
            [address, [slot.to_bytes(32, "big") for slot in slots]] for address, slots in self.access_list
        ]
        head = [integer(self.chain_id or 0), integer(self.nonce)]
        if self.type_id == ACCESS_LIST:
            return [*head, fee, *tail, entries]
        if self.type_id == DYNAMIC_FEE:
            return [*head, tip, fee, *tail, entries]
        return [*head, tip, fee, *tail, entries, [authorization.items() for authorization in self.authorizations]]


def _split_signature(signature: bytes) -> tuple[int, int, int]:
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
    return r, s, signature[64] - 27


def _recover(digest: bytes, y_parity: int, r: int, s: int) -> Address:
    if y_parity not in (0, 1) or not 0 < r < SECP256K1_ORDER or not 0 < s < SECP256K1_ORDER:
        raise BadSignature("r, s or the parity lies outside the group")
    signature = r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes((27 + y_parity,))
    return recover_address(digest, signature)


def decode_transaction(raw: bytes) -> Transaction:
    """Read canonical bytes; rules that need state come later. Raises InvalidTransaction with the reason."""
    if not raw:
        raise InvalidTransaction("the transaction is empty")
    if len(raw) > TRANSACTION_BYTES_MAX:
        raise InvalidTransaction(f"the transaction has {len(raw)} bytes, more than {TRANSACTION_BYTES_MAX}")
    try:
        transaction = _decode(bytes(raw))
    except EncodingError as cause:
        raise InvalidTransaction(f"the transaction cannot be read: {cause.message}") from cause
    if transaction.raw != raw:
        raise InvalidTransaction("the transaction's bytes are not canonical")
    return transaction


def _decode(raw: bytes) -> Transaction:
    kind = raw[0]
    if kind >= 0xC0:
        return _decode_legacy(to_list(decode(raw), 9))
    if kind == BLOB:
        raise InvalidTransaction(
            "blob transactions (type 3) are not accepted: this chain keeps no blobs",
            hint="send the data as calldata in a type 2 transaction",
        )
    if kind == ACCESS_LIST:
        return _decode_typed(kind, to_list(decode(raw[1:]), 11), fee_fields=1)
    if kind == DYNAMIC_FEE:
        return _decode_typed(kind, to_list(decode(raw[1:]), 12), fee_fields=2)
    if kind == SET_CODE:
        return _decode_typed(kind, to_list(decode(raw[1:]), 13), fee_fields=2)
    raise InvalidTransaction(f"transaction type {kind} is unknown; types 0, 1, 2 and 4 are accepted")


def _decode_legacy(items: list[Item]) -> Transaction:
    nonce, price, gas, to, value, data, v_item, r, s = items
    v = to_integer(v_item)
    if v in (27, 28):
        chain_id, y_parity = None, v - 27
    elif v >= 35:
        chain_id, y_parity = (v - 35) // 2, (v - 35) % 2
    else:
        raise InvalidTransaction(f"the legacy transaction's v is {v}; it must be 27, 28, or 35 and above")
    return Transaction(
        type_id=LEGACY,
        chain_id=chain_id,
        nonce=to_integer(nonce, 8),
        max_fee_per_gas=Wei(to_integer(price)),
        max_priority_fee_per_gas=Wei(to_integer(price)),
        gas=Gas(to_integer(gas, 8)),
        to=_recipient(to),
        value=Wei(to_integer(value)),
        data=to_bytes(data),
        y_parity=y_parity,
        r=to_integer(r),
        s=to_integer(s),
    )


def _decode_typed(kind: int, items: list[Item], *, fee_fields: int) -> Transaction:
    head, fees, rest = items[:2], items[2 : 2 + fee_fields], items[2 + fee_fields :]
    gas, to, value, data, access_list = rest[:5]
    authorizations = to_list(rest[5]) if kind == SET_CODE else []
    y_parity, r, s = rest[-3:]
    if kind == SET_CODE and not authorizations:
        raise InvalidTransaction("a set-code transaction (type 4) must carry an authorisation")
    recipient = _recipient(to)
    if kind == SET_CODE and not recipient:
        raise InvalidTransaction("a set-code transaction (type 4) cannot create a contract")
    return Transaction(
        type_id=kind,
        chain_id=to_integer(head[0], 8),
        nonce=to_integer(head[1], 8),
        max_priority_fee_per_gas=Wei(to_integer(fees[0])),
        max_fee_per_gas=Wei(to_integer(fees[-1])),
        gas=Gas(to_integer(gas, 8)),
        to=recipient,
        value=Wei(to_integer(value)),
        data=to_bytes(data),
        access_list=tuple(_access_entry(entry) for entry in to_list(access_list)),
        authorizations=tuple(_authorization(entry) for entry in authorizations),
        y_parity=to_integer(y_parity, 1),
        r=to_integer(r),
        s=to_integer(s),
    )


def _recipient(item: Item) -> bytes:
    to = to_bytes(item)
    if len(to) not in (0, 20):
        raise InvalidTransaction(f"the recipient has {len(to)} bytes; it must have 20, or none to create a contract")
    return to


def _access_entry(item: Item) -> tuple[Address, tuple[int, ...]]:
    address, slots = to_list(item, 2)
    numbers = tuple(int.from_bytes(to_bytes(slot, 32), "big") for slot in to_list(slots))
    return Address(to_bytes(address, 20)), numbers


def _authorization(item: Item) -> SetCodeAuthorization:
    chain_id, address, nonce, y_parity, r, s = to_list(item, 6)
    return SetCodeAuthorization(
        chain_id=to_integer(chain_id),
        address=Address(to_bytes(address, 20)),
        nonce=to_integer(nonce, 8),
        y_parity=to_integer(y_parity, 1),
        r=to_integer(r),
        s=to_integer(s),
    )
