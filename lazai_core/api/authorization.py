"""The wallet's EIP-712 authorisation of one request.

It binds everything the node could otherwise choose: chain, settlement contract, node, model, body, data tokens,
maximum cost, expiry and a two-dimensional nonce, so that one wallet can have many requests under way.
"""

from __future__ import annotations

from attrs import evolve, field, frozen

from .errors import BadSignature
from .hashing import keccak256, recover_address, sign_digest
from .types import Address, DatId, Hash32, ModelId, Wei

DOMAIN_NAME = "LazAI"
DOMAIN_VERSION = "1"
DOMAIN_TYPE = b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
REQUEST_TYPE = (
    b"InferenceRequest(address user,address node,bytes32 model,bytes32 bodyHash,uint256[] dats,"
    b"uint256 maxCost,uint64 expiry,uint64 lane,uint64 counter)"
)


def _word(value: int) -> bytes:
    return value.to_bytes(32, "big")


def domain_separator(chain_id: int, settlement: Address) -> Hash32:
    """EIP-712 domain separator of the settlement contract on a chain."""
    return keccak256(
        keccak256(DOMAIN_TYPE)
        + keccak256(DOMAIN_NAME.encode())
        + keccak256(DOMAIN_VERSION.encode())
        + _word(chain_id)
        + bytes(12)
        + settlement
    )


@frozen(kw_only=True)
class Authorization:
    """`max_cost` in wei, `expiry` in seconds since 1970, `counter` counts up by one in each `lane`."""

    user: Address
    node: Address
    model: ModelId
    body_hash: Hash32
    dats: tuple[DatId, ...] = ()
    max_cost: Wei
    expiry: int
    lane: int
    counter: int
    signature: bytes = field(default=b"", repr=False)

    def struct_hash(self) -> Hash32:
        """EIP-712 `hashStruct`."""
        return keccak256(
            keccak256(REQUEST_TYPE)
            + bytes(12)
            + self.user
            + bytes(12)
            + self.node
            + self.model
            + self.body_hash
            + keccak256(b"".join(_word(dat) for dat in self.dats))
            + _word(self.max_cost)
            + _word(self.expiry)
            + _word(self.lane)
            + _word(self.counter)
        )

    def digest(self, chain_id: int, settlement: Address) -> Hash32:
        """The 32 bytes the wallet signs (EIP-712, version 0x01)."""
        return keccak256(b"\x19\x01" + domain_separator(chain_id, settlement) + self.struct_hash())

    def signed(self, private_key: bytes, chain_id: int, settlement: Address) -> Authorization:
        """This authorisation with the wallet's signature."""
        return evolve(self, signature=sign_digest(self.digest(chain_id, settlement), private_key))

    def verify(self, chain_id: int, settlement: Address) -> None:
        """Raises BadSignature unless `user` signed exactly this for exactly this chain and contract."""
        signer = recover_address(self.digest(chain_id, settlement), self.signature)
        if signer != self.user:
            raise BadSignature(
                f"the authorisation names wallet 0x{self.user.hex()} but is signed by 0x{signer.hex()}",
                hint="sign with the wallet that pays, over this chain id and settlement contract",
            )
