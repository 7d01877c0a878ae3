"""The one error tree. The class says who is to blame; the text says what, where, why and what to do.

    LazAIError
    |- ConfigError                 operator: the configuration
    |- PluginError                 a plugin, charged by name and distribution
    |  |- PluginMissing  PluginBroken  PluginConflict  PluginContractError  HookApiMismatch
    |- AssemblyError               operator: the parts do not fit together
    |- RequestRejected             the requesting user; `.code` is the API's error code
    |  |- BadSignature  StaleNonce  NonceReused  RequestExpired  AccessDenied  InsufficientFunds  FeeTooLow
    |  |- PaymentRequired  OverLimit  Busy  UnknownModel  UnknownDat  InvalidInput
    |- ComputeError                the coprocessor or its limits
    |  |- BackendUnavailable  OutOfMemory  ComputeLimitExceeded  Cancelled  NotExact
    |- ModelError                  the model's author: file, graph or weights
    |  |- UnsupportedProgram  InvalidProgram
    |- ProofError
    |  |- ProofMalformed  ProofRejected  ProvingFailed
    |- ConsensusFault
    |  |- PeerFault  LocalFault
    |- InvalidTransaction  InvalidGenesis
    |- InvalidBlock                whom `.blame` names; nobody where this node could not check it
    |  |- CannotJudge
    |- EncodingError               bytes that are not the canonical form of anything
    |- StorageError
    `- PrecompileRevert            the calling contract: its call is reverted with data

`NeedsCompute` is an effect, not an error, and lives in `precompile.py` outside this tree.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen


class LazAIError(Exception):
    """Root of everything this project raises on purpose.

    `hint` says what to do, in one imperative sentence, or is empty.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message


@frozen(kw_only=True)
class Problem:
    """One finding in a configuration file. `line` is 1-based, 0 where no line can be named."""

    file: str
    line: int
    key: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        text = f"{place}: {self.key}: {self.message}" if self.key else f"{place}: {self.message}"
        return f"{text}; {self.hint}" if self.hint else text


class ConfigError(LazAIError):
    """The configuration is wrong. Holds every problem found, not only the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        count = len(self.problems)
        lines = [str(problem) for problem in self.problems]
        lines.append(f"{count} problem{'s' if count != 1 else ''}; nothing was started")
        super().__init__("\n".join(lines))


class PluginError(LazAIError):
    """Something is wrong with a plugin; `plugin` and `distribution` name it (empty when unknown)."""

    def __init__(self, message: str, *, plugin: str = "", distribution: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.plugin = plugin
        self.distribution = distribution


class PluginMissing(PluginError):
    """The configuration names a provider that no installed plugin offers."""


class PluginBroken(PluginError):
    """A plugin raised while it was imported or while it registered its entries."""


class PluginConflict(PluginError):
    """Two plugins offer the same name."""


class PluginContractError(PluginError):
    """A plugin breaks a rule of the hook API: misspelt hook, wrong return type, wrong name, async hook."""


class HookApiMismatch(PluginError):
    """A plugin was written for another major (or a newer minor) hook API."""


class AssemblyError(LazAIError):
    """The chosen parts cannot be joined; `path` is the chain of needs that failed."""

    def __init__(self, message: str, *, path: Sequence[str] = (), hint: str = "") -> None:
        self.path: tuple[str, ...] = tuple(path)
        text = f"{' -> '.join(self.path)}: {message}" if self.path else message
        super().__init__(text, hint=hint)


class RequestRejected(LazAIError):
    """A user's request cannot be served; `code` is the machine-readable reason of the API."""

    code: str = "request_rejected"


class BadSignature(RequestRejected):
    """The authorisation is not signed by the wallet it names."""

    code = "invalid_signature"


class StaleNonce(RequestRejected):
    """The (lane, counter) nonce lies behind or ahead of the lane's next counter."""

    code = "nonce_expired"


class NonceReused(RequestRejected):
    """The nonce was used for a request with another body."""

    code = "nonce_reused"


class RequestExpired(RequestRejected):
    """The authorisation's expiry has passed."""

    code = "deadline_passed"


class AccessDenied(RequestRejected):
    """The wallet may not use this DAT, or is not the one this node serves."""

    code = "dat_access_denied"


class InsufficientFunds(RequestRejected):
    """The wallet's escrow is smaller than the maximum cost it authorised."""

    code = "insufficient_escrow"


class FeeTooLow(RequestRejected):
    """The authorised maximum cost is below the quote; `quote` is the needed amount in wei."""

    code = "fee_too_low"

    def __init__(self, message: str, *, quote: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.quote = quote


class PaymentRequired(RequestRejected):
    """No payment material came with a request that needs it; `quote` is the price in wei."""

    code = "payment_required"

    def __init__(self, message: str, *, quote: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.quote = quote


class OverLimit(RequestRejected):
    """The request is larger than the node or the model allows."""

    code = "context_length_exceeded"


class Busy(RequestRejected):
    """A bounded queue is full; the same request may be sent again after `retry_after_ms`."""

    code = "server_busy"

    def __init__(self, message: str, *, retry_after_ms: int = 500, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.retry_after_ms = retry_after_ms


class UnknownModel(RequestRejected):
    """The node does not serve, or the chain does not know, this model."""

    code = "model_not_found"


class UnknownDat(RequestRejected):
    """The chain knows no DAT of this number."""

    code = "dat_not_found"


class InvalidInput(RequestRejected):
    """The request's content does not fit the model: shape, type or range."""

    code = "invalid_input"


class ComputeError(LazAIError):
    """A coprocessor could not do the work."""


class BackendUnavailable(ComputeError):
    """The device or library the backend needs is not there."""


class OutOfMemory(ComputeError):
    """The device ran out of memory."""


class ComputeLimitExceeded(ComputeError):
    """The job passed its FLOPs, memory or time limit."""


class Cancelled(ComputeError):
    """The job was cancelled through its token."""


class NotExact(ComputeError):
    """The backend cannot run this program bit-exactly on this device."""


class ModelError(LazAIError):
    """A model file, graph or weight is wrong or not supported."""


class UnsupportedProgram(ModelError):
    """The model uses something that is not supported; the text names the node and the operation."""


class InvalidProgram(ModelError):
    """An exact program breaks a rule of docs/EXACT.md; the text names the op's index, kind and reason."""


class ProofError(LazAIError):
    """A proof could not be made or accepted."""


class ProofMalformed(ProofError):
    """The bytes are not a proof of this system."""


class ProofRejected(ProofError):
    """A well-formed proof does not prove the statement; `check` names the check that failed."""

    def __init__(self, message: str, *, check: str, hint: str = "") -> None:
        super().__init__(f"{check}: {message}", hint=hint)
        self.check = check


class ProvingFailed(ProofError):
    """The prover could not make a proof."""


class ConsensusFault(LazAIError):
    """A rule of the consensus protocol was broken."""


class PeerFault(ConsensusFault):
    """A peer broke the protocol: it is penalised and the node goes on."""

    def __init__(self, message: str, *, peer: bytes, evidence: bytes = b"", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.peer = peer
        self.evidence = evidence


class LocalFault(ConsensusFault):
    """This node broke the protocol or its own invariants: it must stop."""


class InvalidTransaction(LazAIError):
    """A transaction that can never be included as it is."""


class InvalidBlock(LazAIError):
    """A block that breaks a rule; `check` names it and `blame` is the guilty address, where one is known."""

    def __init__(self, message: str, *, check: str, blame: bytes = b"", hint: str = "") -> None:
        super().__init__(f"{check}: {message}", hint=hint)
        self.check = check
        self.blame = blame


class CannotJudge(InvalidBlock):
    """This node could not check a block: a device failed, a program is missing. That says nothing about the block."""


class InvalidGenesis(LazAIError):
    """The genesis file is wrong, or this node's plugins are not the ones it fixes."""


class EncodingError(LazAIError, ValueError):
    """Bytes that are not the canonical encoding of the expected type."""


class StorageError(LazAIError):
    """The store cannot be opened, read or written."""


class PrecompileRevert(LazAIError):
    """A precompile refuses its call; `data` goes back to the caller as revert data."""

    def __init__(self, message: str, *, data: bytes = b"") -> None:
        super().__init__(message)
        self.data = data
