"""The calls a node makes for requests: Settlement's `execute`, and the AI precompile's `infer` where the node pays.

Both name their jobs completely, so that jobs can be derived from a call, before it is made and after it was settled.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from lazai_core.api.authorization import Authorization
from lazai_core.api.errors import (
    AccessDenied,
    EncodingError,
    InsufficientFunds,
    LazAIError,
    RequestRejected,
    StaleNonce,
)
from lazai_core.api.job import ComputeJob
from lazai_core.api.types import AI_CALL_ADDRESS, SETTLEMENT_ADDRESS
from lazai_core.chain.abi import describe_revert
from lazai_core.chain.receipts import Receipt
from lazai_core.chain.system_calls import InferCall, Settled, decode_execute, job_salt
from lazai_core.chain.transaction import Transaction


@frozen(kw_only=True)
class OrderedJobs:
    """What a transaction orders: its jobs, and the wallet's authorisation where there is one."""

    jobs: tuple[ComputeJob, ...]
    authorization: Authorization | None = None


def settlement_jobs(
    authorization: Authorization, inputs: Sequence[bytes], proof_system: str, chain_id: int
) -> tuple[ComputeJob, ...]:
    """The jobs that `Settlement.execute` will ask for, in order."""
    return tuple(
        ComputeJob(
            chain_id=chain_id,
            model=authorization.model,
            input=data,
            dats=authorization.dats,
            proof_system=proof_system,
            salt=job_salt(authorization.user, authorization.lane, authorization.counter, index),
        )
        for index, data in enumerate(inputs)
    )


def direct_job(call: InferCall, chain_id: int) -> ComputeJob:
    """The job that a call of `infer` asks for."""
    return ComputeJob(
        chain_id=chain_id,
        model=call.model,
        input=call.input,
        dats=call.dats,
        proof_system=call.proof_system,
        salt=call.salt,
    )


def ordered_jobs(transaction: Transaction, chain_id: int) -> OrderedJobs | None:
    """The jobs of a transaction that calls Settlement or the AI precompile itself; None for any other."""
    try:
        if transaction.to == SETTLEMENT_ADDRESS:
            authorization, inputs, proof_system = decode_execute(transaction.data)
            jobs = settlement_jobs(authorization, inputs, proof_system, chain_id)
            return OrderedJobs(jobs=jobs, authorization=authorization)
        if transaction.to == AI_CALL_ADDRESS:
            return OrderedJobs(jobs=(direct_job(InferCall.decode(transaction.data), chain_id),))
    except EncodingError:
        return None
    return None


def settled_event(receipt: Receipt) -> Settled | None:
    """The first settlement that a receipt tells of."""
    for log in receipt.logs:
        if log.address == SETTLEMENT_ADDRESS:
            try:
                return Settled.from_log(log.topics, log.data)
            except EncodingError:
                continue
    return None


_REVERTS: tuple[tuple[str, type[RequestRejected], str], ...] = (
    ("InsufficientEscrow", InsufficientFunds, "deposit more, then sign the request again"),
    ("CostAboveMaximum", InsufficientFunds, "sign the request again with a larger maximum cost"),
    ("WrongCounter", StaleNonce, "sign the request again with the lane's next counter"),
    ("DatNotPermitted", AccessDenied, "ask the data's owner for permission"),
)


def explain_revert(data: bytes) -> LazAIError:
    """The error of a request whose call reverted although it was admitted: the chain changed meanwhile."""
    reason = describe_revert(data)
    text = f"the chain refused the request: {reason}"
    for name, kind, hint in _REVERTS:
        if reason.startswith(name):
            return kind(text, hint=hint)
    return RequestRejected(text, hint="its nonce was not used; sign the request again")
