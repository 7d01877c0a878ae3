"""Keccak-256 and secp256k1 signatures, as Ethereum uses them. One place, native libraries."""

from __future__ import annotations

from functools import lru_cache

from .errors import BadSignature
from .types import Address, Hash32

SECP256K1_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
SIGNATURE_BYTES = 65
SIGNERS_REMEMBERED_MAX = 8192


def keccak256(data: bytes) -> Hash32:
    """Keccak-256 with the original padding (not SHA3-256)."""
    import sha3

    return Hash32(sha3.keccak_256(data).digest())


def address_of_public_key(public_key: bytes) -> Address:
    """Ethereum address of an uncompressed public key: 64 bytes x || y, without the 0x04 prefix."""
    if len(public_key) != 64:
        raise ValueError(f"a public key has 64 bytes (x || y), got {len(public_key)}")
    return Address(keccak256(public_key)[12:])


def sign_digest(digest: bytes, private_key: bytes) -> bytes:
    """Deterministic (RFC 6979) secp256k1 signature r || s || v over 32 bytes, v = 27 or 28, s in the lower half."""
    from coincurve import PrivateKey

    if len(digest) != 32:
        raise ValueError(f"a digest has 32 bytes, got {len(digest)}")
    signature = PrivateKey(private_key).sign_recoverable(digest, hasher=None)
    return signature[:64] + bytes([27 + signature[64]])


@lru_cache(maxsize=SIGNERS_REMEMBERED_MAX)
def recover_address(digest: bytes, signature: bytes) -> Address:
    """Address that signed `digest`.

    Exactly one byte string is a valid signature of a key over a digest under this rule set: 65 bytes, v in
    {27, 28}, s in the lower half (EIP-2). Raises BadSignature otherwise.

    Remembered: a vote is looked at when it comes, when it is counted, and in each certificate that holds it.
    """
    from coincurve import PublicKey

    if len(signature) != SIGNATURE_BYTES:
        raise BadSignature(f"a signature has {SIGNATURE_BYTES} bytes, got {len(signature)}")
    if signature[64] not in (27, 28):
        raise BadSignature(f"the signature's v is {signature[64]}, not 27 or 28")
    if int.from_bytes(signature[32:64], "big") > SECP256K1_ORDER // 2:
        raise BadSignature("the signature's s lies in the upper half of the group order")
    try:
        key = PublicKey.from_signature_and_message(signature[:64] + bytes([signature[64] - 27]), digest, hasher=None)
    except Exception as cause:  # coincurve raises bare Exception for an unrecoverable signature
        raise BadSignature("no public key belongs to this signature") from cause
    return address_of_public_key(key.format(compressed=False)[1:])


def address_of_private_key(private_key: bytes) -> Address:
    """Ethereum address of a 32-byte private key."""
    from coincurve import PrivateKey

    return address_of_public_key(PrivateKey(private_key).public_key.format(compressed=False)[1:])
