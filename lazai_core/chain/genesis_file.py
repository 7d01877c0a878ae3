"""Reads a genesis file and names every problem in it, and holds a node to the plugins that it fixes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from lazai_core.api.consensus import VALIDATORS_MAX, Validator
from lazai_core.api.errors import InvalidGenesis
from lazai_core.api.gas import Ratio
from lazai_core.api.gas_parameters import GasParameters
from lazai_core.api.types import ZERO_ADDRESS, Address, Gas, Wei, address_from_hex

from .bounded_json import parse_json
from .genesis import FORMAT, Genesis, GenesisContract, plugin_differences
from .staking import RANGES, STAKES, StakingParameters
from .staking_genesis import contradictions

T = TypeVar("T")
GENESIS_BYTES_MAX = 64 * 1024 * 1024
NUMBER_MAX = 2**53 - 1
"""Larger numbers are written as decimal strings, since some JSON readers round them."""
_WEI_MAX = 2**256 - 1
_FEE_MAX = 2**64 - 1
_GENESIS_KEYS = {
    "format",
    "chain_id",
    "timestamp",
    "block_gas_limit",
    "base_fee_per_gas",
    "compute_base_fee_per_gas",
    "inline_flops_max",
    "inline_memory_bytes_max",
    "validators",
    "governor",
    "gas_parameters",
    "balances",
    "plugins",
    "contracts",
}
_CODE_BYTES_MAX = 24_576


def read_genesis(data: bytes, *, name: str = "genesis.json") -> Genesis:
    """The genesis that a JSON document holds; spaces and order of keys are free, its meaning is not.

    Raises InvalidGenesis with every problem found, each as `name: key: reason`.
    """
    problems: list[str] = []
    genesis = _read_document(_parse(data, name), _Node(problems, ""))
    if not problems:
        problems += [f"staking: {problem}" for problem in contradictions(genesis)]
    if problems:
        lines = [f"{name}: {problem}" for problem in problems]
        raise InvalidGenesis("\n".join(lines), hint=f"{len(problems)} problems; nothing was started")
    return genesis


def require_plugins(genesis: Genesis, chosen: Mapping[str, int]) -> None:
    """Raises InvalidGenesis, naming each difference, unless the node chose exactly what the genesis fixes."""
    differences = plugin_differences(genesis.plugins, chosen)
    if differences:
        raise InvalidGenesis(
            "this node's consensus-critical plugins are not those of the chain:\n" + "\n".join(differences),
            hint="the chain cannot be followed with other rules",
        )


def _parse(data: bytes, name: str) -> object:
    if len(data) > GENESIS_BYTES_MAX:
        raise InvalidGenesis(f"{name}: {len(data)} bytes, more than {GENESIS_BYTES_MAX}")
    try:
        return parse_json(data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse)
    except ValueError as cause:
        raise InvalidGenesis(f"{name}: not a JSON document: {cause}") from cause


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key[:80]!r} stands twice in one object")
        found[key] = value
    return found


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is not a number")


class _Node:
    """A place in the document; problems are collected, and a usable default is returned in their stead."""

    def __init__(self, problems: list[str], key: str) -> None:
        self._problems = problems
        self._key = key

    def below(self, key: str) -> _Node:
        return _Node(self._problems, f"{self._key}.{key}" if self._key else key)

    def problem(self, message: str) -> None:
        self._problems.append(f"{self._key or '(document)'}: {message}")

    def table(self, value: object) -> dict[str, object]:
        if isinstance(value, dict):
            return value
        self.problem(f"expected an object, got {_shown(value)}")
        return {}

    def keys(self, table: dict[str, object], wanted: set[str]) -> None:
        for key in sorted(table.keys() - wanted):
            self.below(key[:80]).problem("unknown key")
        for key in sorted(wanted - table.keys()):
            self.below(key).problem("missing")

    def list(self, value: object) -> list[object]:
        if isinstance(value, list):
            return value
        self.problem(f"expected a list, got {_shown(value)}")
        return []

    def number(self, value: object, least: int = 0, most: int = NUMBER_MAX) -> int:
        if isinstance(value, int) and not isinstance(value, bool):
            if least <= value <= most:
                return value
            self.problem(f"{value} is outside {least} to {most}")
        else:
            self.problem(f"expected a whole number, got {_shown(value)}")
        return least

    def decimal(self, value: object, most: int) -> int:
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 78:
            number = int(value)
            if str(number) == value and number <= most:
                return number
            self.problem(f"{value} has leading zeros or is above {most}")
        else:
            self.problem(f'expected a decimal number in quotes, like "1000", got {_shown(value)}')
        return 0

    def address(self, value: object) -> Address:
        if isinstance(value, str) and value.startswith("0x"):
            try:
                return address_from_hex(value)
            except ValueError as cause:
                self.problem(str(cause)[:120])
        else:
            self.problem(f"expected an address like 0x12…, got {_shown(value)}")
        return ZERO_ADDRESS

    def bytes(self, value: object) -> bytes:
        if isinstance(value, str) and value.startswith("0x"):
            try:
                return bytes.fromhex(value[2:])
            except ValueError:
                pass
        self.problem(f"expected bytes in hexadecimal with 0x, got {_shown(value)}")
        return b""

    def word(self, value: object) -> int:
        if isinstance(value, str) and value.startswith("0x") and len(value) <= 66:
            try:
                return int(value[2:], 16)
            except ValueError:
                pass
        self.problem(f"expected up to 32 bytes in hexadecimal with 0x, got {_shown(value)}")
        return 0


def _shown(value: object) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else text[:60] + "…"


def _read_document(value: object, at: _Node) -> Genesis:
    table = at.table(value)
    at.keys(table, _GENESIS_KEYS | (table.keys() & {"staking"}))
    if "format" in table and table["format"] != FORMAT:
        at.below("format").problem(f"expected {FORMAT!r}, got {_shown(table['format'])}")

    def take(key: str, read: Callable[[_Node, object], T], default: T) -> T:
        return read(at.below(key), table[key]) if key in table else default

    def number(key: str, least: int = 0) -> int:
        return take(key, lambda node, item: node.number(item, least), least)

    def fee(key: str) -> Wei:
        return Wei(take(key, lambda node, item: node.decimal(item, _FEE_MAX), 0))

    genesis = Genesis(
        chain_id=number("chain_id", 1),
        timestamp=number("timestamp"),
        block_gas_limit=Gas(number("block_gas_limit", 1_000_000)),
        base_fee_per_gas=fee("base_fee_per_gas"),
        compute_base_fee_per_gas=fee("compute_base_fee_per_gas"),
        inline_flops_max=number("inline_flops_max"),
        inline_memory_bytes_max=number("inline_memory_bytes_max"),
        validators=take("validators", _read_validators, ()),
        governor=take("governor", lambda node, item: node.address(item), ZERO_ADDRESS),
        gas_parameters=take("gas_parameters", _read_gas_parameters, _NO_GAS_PARAMETERS),
        balances=take("balances", _read_balances, {}),
        plugins=take("plugins", _read_plugins, {}),
        contracts=take("contracts", _read_contracts, {}),
        staking=take("staking", _read_staking, None),
    )
    for key in ("base_fee_per_gas", "compute_base_fee_per_gas"):
        if key in table and getattr(genesis, key) == 0 and table[key] == "0":
            at.below(key).problem("a base fee of 0 could never rise again; it must be at least 1")
    return genesis


_NO_GAS_PARAMETERS = GasParameters(
    alpha=Ratio(numerator=0, denominator=1),
    beta=Ratio(numerator=0, denominator=1),
    gamma=Gas(0),
    compute_gas_target=Gas(1),
    tip=Wei(0),
)


def _read_validators(at: _Node, value: object) -> tuple[Validator, ...]:
    found = []
    for index, item in enumerate(at.list(value)):
        place = at.below(str(index))
        table = place.table(item)
        place.keys(table, {"address", "power"} | (table.keys() & {"idao"}))
        address = place.below("address").address(table.get("address"))
        power = place.below("power").number(table.get("power"), 1, 2**48)
        idao = place.below("idao").address(table["idao"]) if "idao" in table else ZERO_ADDRESS
        if "idao" in table and idao == ZERO_ADDRESS:
            place.below("idao").problem("a validator of no iDAO leaves the key out")
        found.append(Validator(address=address, power=power, idao=idao))
    if not found:
        at.problem("a chain needs at least one validator")
    if len(found) > VALIDATORS_MAX:
        at.problem(f"{len(found)} validators are more than {VALIDATORS_MAX}")
    if len({validator.address for validator in found}) != len(found):
        at.problem("an address stands twice")
    return tuple(found)


def _read_ratio(at: _Node, value: object) -> Ratio:
    items = at.list(value)
    if len(items) != 2:
        at.problem("expected [numerator, denominator]")
        return Ratio(numerator=0, denominator=1)
    return Ratio(
        numerator=at.below("0").number(items[0]),
        denominator=at.below("1").number(items[1], 1),
    )


def _read_gas_parameters(at: _Node, value: object) -> GasParameters:
    table = at.table(value)
    at.keys(table, {"alpha", "beta", "gamma", "compute_gas_target", "tip"})
    if table.keys() < {"alpha", "beta", "gamma", "compute_gas_target", "tip"}:
        return _NO_GAS_PARAMETERS
    return GasParameters(
        alpha=_read_ratio(at.below("alpha"), table["alpha"]),
        beta=_read_ratio(at.below("beta"), table["beta"]),
        gamma=Gas(at.below("gamma").number(table["gamma"])),
        compute_gas_target=Gas(at.below("compute_gas_target").number(table["compute_gas_target"], 1)),
        tip=Wei(at.below("tip").decimal(table["tip"], _FEE_MAX)),
    )


def _read_staking(at: _Node, value: object) -> StakingParameters:
    """Every parameter may be left out, and then has its default."""
    table = at.table(value)
    at.keys(table, table.keys() & set(RANGES))
    values = {}
    for name in [name for name in RANGES if name in table]:
        place, item = at.below(name), table[name]
        values[name] = place.decimal(item, _WEI_MAX) if name in STAKES else place.number(item)
    return StakingParameters(**values)  # type: ignore[arg-type]


def _read_balances(at: _Node, value: object) -> dict[Address, Wei]:
    found: dict[Address, Wei] = {}
    for key, item in sorted(at.table(value).items()):
        address = at.below(key[:60]).address(key)
        if address in found:
            at.below(key[:60]).problem("the address stands twice")
        found[address] = Wei(at.below(key[:60]).decimal(item, _WEI_MAX))
    if sum(found.values()) > _WEI_MAX:
        at.problem("all balances together exceed 2^256 - 1")
    return found


def _read_plugins(at: _Node, value: object) -> dict[str, int]:
    found = {}
    for key, item in sorted(at.table(value).items()):
        if key.count("/") != 1 or not all(key.split("/")):
            at.below(key[:60]).problem('expected a key like "proof/attestation"')
        found[key] = at.below(key[:60]).number(item, 1, 2**32 - 1)
    return found


def _read_contracts(at: _Node, value: object) -> dict[Address, GenesisContract]:
    found: dict[Address, GenesisContract] = {}
    for key, item in sorted(at.table(value).items()):
        place = at.below(key[:60])
        address = place.address(key)
        if address in found:
            place.problem("the address stands twice")
        table = place.table(item)
        place.keys(table, {"code", "storage"})
        code = place.below("code").bytes(table.get("code"))
        if not 1 <= len(code) <= _CODE_BYTES_MAX:
            place.below("code").problem(f"{len(code)} bytes, expected 1 to {_CODE_BYTES_MAX}")
        slots = place.below("storage")
        storage = {
            slots.below(slot[:70]).word(slot): slots.below(slot[:70]).word(word)
            for slot, word in sorted(slots.table(table.get("storage", {})).items())
        }
        found[address] = GenesisContract(code=code, storage=storage)
    return found
