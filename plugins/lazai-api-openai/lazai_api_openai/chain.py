"""`/v1/lazai/transactions`, `/v1/lazai/blocks` and `/v1/lazai/peers`: raw transactions in, the chain out."""

from __future__ import annotations

import re
from typing import Any

from attrs import asdict, fields, filters
from starlette.requests import Request
from starlette.responses import Response

from lazai_core.api.errors import Busy, EncodingError, InvalidTransaction, LazAIError
from lazai_core.api.service import BlockInfo, NodeStatus, PeerStatus, TransactionStatus
from lazai_core.api.types import Hash32, Height, hash_from_hex, to_hex

from .bodies import parse_object, read_body
from .context import Api
from .failures import ApiFailure, bad_request, failure_of
from .replies import json_response

TRANSACTIONS_MAX = 1000
"""In one body."""
_HEXADECIMAL = re.compile(r"0x(?:[0-9a-fA-F]{2})+\Z")
_LATEST = "latest"


async def post_transactions(api: Api, request: Request) -> Response:
    """Signed Ethereum transactions into the pool: `{"raw": "0x…"}`, or a list of them, each with its own answer."""
    with api.slot():
        body = await read_body(request, api.options.body_bytes_max, api.options.body_timeout_ms)
        raw = parse_object(body).get("raw")
        if isinstance(raw, str):
            return json_response({"hash": to_hex(await _send(api, raw))})
        if not isinstance(raw, list) or not 0 < len(raw) <= TRANSACTIONS_MAX:
            raise bad_request(f"raw is one transaction or a list of at most {TRANSACTIONS_MAX}", "raw")
        return json_response({"object": "list", "data": [await _outcome(api, item) for item in raw]})


async def _outcome(api: Api, raw: object) -> dict[str, Any]:
    try:
        return {"hash": to_hex(await _send(api, raw))}
    except (ApiFailure, LazAIError) as error:
        return failure_of(error, retry_after_ms=api.options.retry_after_ms).body()


async def _send(api: Api, raw: object) -> Hash32:
    if not isinstance(raw, str) or not _HEXADECIMAL.match(raw):
        raise bad_request("a raw transaction is 0x and hexadecimal digits", "raw")
    try:
        return await api.gateway.send_raw_transaction(bytes.fromhex(raw[2:]))
    except Busy:
        raise
    except (InvalidTransaction, EncodingError) as error:
        raise bad_request(str(error), "raw", code="invalid_transaction") from None


async def get_transaction(api: Api, request: Request) -> Response:
    """Where a transaction stands."""
    transaction_hash = _hash(request.path_params["hash"])
    try:
        found = await api.gateway.transaction_status(transaction_hash)
    except InvalidTransaction as error:
        raise ApiFailure(410, "transaction_dropped", str(error), param="hash") from None
    if found is None:
        raise ApiFailure(404, "transaction_not_found", f"no transaction {to_hex(transaction_hash)} is known here")
    return json_response(_transaction_fields(found))


def _hash(text: str) -> Hash32:
    try:
        return hash_from_hex(text)
    except ValueError as error:
        raise bad_request(str(error), "hash") from None


def _transaction_fields(found: TransactionStatus) -> dict[str, Any]:
    is_included = found.height is not None and found.block_hash is not None
    return {
        "object": "lazai.transaction",
        "hash": to_hex(found.transaction_hash),
        "height": found.height,
        "block": to_hex(found.block_hash) if found.block_hash is not None else None,
        "succeeded": found.succeeded if is_included else None,
        "gas_used": str(found.gas_used) if is_included else None,
        "contract": to_hex(found.contract) if found.contract is not None else None,
    }


async def get_block(api: Api, request: Request) -> Response:
    """A block of this node's chain, by height or `latest`."""
    text = request.path_params["height"]
    if text != _LATEST and not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise bad_request("a height is a decimal number, or latest", "height")
    height = api.gateway.node_status().height if text == _LATEST else Height(int(text))
    found = await api.gateway.block(height)
    if found is None:
        raise ApiFailure(404, "block_not_found", f"this node has no block {height}", param="height")
    return json_response(_block_fields(found))


def _block_fields(block: BlockInfo) -> dict[str, Any]:
    return {
        "object": "lazai.block",
        "height": block.height,
        "hash": to_hex(block.block_hash),
        "parent": to_hex(block.parent_hash),
        "state_root": to_hex(block.state_root),
        "timestamp": block.timestamp,
        "proposer": to_hex(block.proposer),
        "round": block.round,
        "transactions": [to_hex(item) for item in block.transactions],
        "records": block.records,
        "gas_used": str(block.gas_used),
        "bytes": block.size_bytes,
    }


async def get_peers(api: Api, _request: Request) -> Response:
    """Who is connected, and what peers have been blamed for since the start."""
    status = api.gateway.node_status()
    # Where a node is reached is for its operator's logs, not for everybody who asks.
    hidden = filters.exclude(fields(PeerStatus).remote)
    peers = [{**asdict(peer, filter=hidden), "address": to_hex(peer.address)} for peer in status.peers]
    return json_response({"object": "list", "data": peers, "faults": dict(status.faults)})


def standing_fields(status: NodeStatus) -> dict[str, Any]:
    """Where the node stands among the others, as `/status` shows it."""
    return {
        "block": to_hex(status.block_hash),
        "block_timestamp": status.block_timestamp,
        "deciding": status.deciding,
        "round": status.round,
        "step": status.step,
        "validators": status.validators,
        "validator": status.is_validator,
        "peers": len(status.peers),
        "transactions_waiting": status.transactions_waiting,
    }
