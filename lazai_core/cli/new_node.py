"""What `lazai init` writes: a chain's genesis and a node's configuration, made from what is installed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from attrs import frozen

from lazai_core.api.types import Address
from lazai_core.chain.genesis import Genesis
from lazai_core.config.render import TemplateChoice, render_template
from lazai_core.registry import Catalog, Kind, Offer

from .selection import Selection

if TYPE_CHECKING:
    from lazai_core.api.consensus import Validator

PREFERENCES: Mapping[Kind, tuple[str, ...]] = {
    Kind.CONSENSUS: ("solo",),
    Kind.COPROCESSOR: ("torch", "reference"),
    Kind.PROOF_SYSTEM: ("attestation",),
    Kind.GAS_POLICY: ("eip1559", "flat"),
    Kind.STORAGE: ("lmdb", "sqlite"),
    Kind.SERVICE: ("openai", "ethereum-rpc"),
}
"""For a node alone on its chain: the first of each that is installed; of services all."""

SERVICES = frozenset({Kind.SERVICE})
COIN_WEI = 10**18
VALIDATOR_BALANCE_WEI = 1_000_000 * COIN_WEI
FUNDED_BALANCE_WEI = 10_000 * COIN_WEI
BLOCK_GAS_LIMIT = 60_000_000
BASE_FEE_WEI = 1_000_000_000
INLINE_FLOPS_MAX = 20_000_000
INLINE_MEMORY_BYTES_MAX = 16 << 20


@frozen(kw_only=True)
class Parts:
    """The providers of a new node."""

    chosen: tuple[Offer, ...]
    precompiles: tuple[Offer, ...]

    @property
    def genesis_plugins(self) -> dict[str, int]:
        """Consensus-critical names and versions, as the genesis fixes them."""
        offers = (*self.chosen, *self.precompiles)
        return {offer.genesis_key: offer.genesis_version for offer in offers if offer.genesis_version}


def choose_parts(catalog: Catalog) -> Parts:
    """The preferred provider of every kind. Raises PluginMissing or PluginBroken where there is none."""
    return preferred_parts(catalog, {})


def preferred_parts(catalog: Catalog, changes: Mapping[Kind, tuple[str, ...]]) -> Parts:
    """As `choose_parts`, with other preferences for some kinds."""
    preferences = {**PREFERENCES, **changes}
    chosen = [offer for kind, names in preferences.items() for offer in _preferred(catalog, kind, names)]
    return Parts(chosen=tuple(chosen), precompiles=catalog.precompiles())


def selected_parts(selection: Selection) -> Parts:
    """The providers that a configuration chooses. Raises PluginError for one that is not there."""
    config, catalog = selection.loaded.config, selection.catalog
    choices = (choice for choice in config.choices() if choice.kind != Kind.PRECOMPILE)
    return Parts(
        chosen=tuple(catalog.find(Kind(choice.kind), choice.name) for choice in choices),
        precompiles=catalog.precompiles(config.precompiles.use),
    )


def _preferred(catalog: Catalog, kind: Kind, names: tuple[str, ...]) -> Iterator[Offer]:
    there = {offer.name: offer for offer in catalog.offers(kind)}
    found = [there[name] for name in names if name in there]
    if kind in SERVICES:
        yield from found
    elif found:
        yield found[0]
    else:
        # Whatever is wrong, the catalog says it best.
        yield catalog.find(kind, names[-1])


def new_genesis(
    parts: Parts,
    *,
    chain_id: int,
    validator: Address,
    validators: Sequence[Validator] = (),
    funded: Sequence[Address] = (),
    timestamp: int | None = None,
) -> Genesis:
    """A chain of one validator, which also governs the parameters, or of several, with their stakes. Amounts in wei.

    A genesis validator's power of 1 lets nobody in later without the governor's approval (docs/VALIDATORS.md).
    """
    from lazai_core.api.consensus import Validator
    from lazai_core.api.types import Gas, Wei
    from lazai_core.chain.staking_genesis import with_staking
    from lazai_core.chain.system_contracts import DEFAULT_GAS_PARAMETERS, genesis_contracts
    from lazai_core.registry.catalog import address_of

    balances = {address: Wei(FUNDED_BALANCE_WEI) for address in funded}
    deciding = tuple(validators) or (Validator(address=validator, power=1),)
    balances |= {one.address: Wei(VALIDATOR_BALANCE_WEI) for one in deciding}
    addresses = [Address(address_of(offer)) for offer in parts.precompiles]
    genesis = Genesis(
        chain_id=chain_id,
        timestamp=int(time.time()) if timestamp is None else timestamp,
        block_gas_limit=Gas(BLOCK_GAS_LIMIT),
        base_fee_per_gas=Wei(BASE_FEE_WEI),
        compute_base_fee_per_gas=Wei(BASE_FEE_WEI),
        inline_flops_max=INLINE_FLOPS_MAX,
        inline_memory_bytes_max=INLINE_MEMORY_BYTES_MAX,
        validators=deciding,
        governor=validator,
        gas_parameters=DEFAULT_GAS_PARAMETERS,
        balances=balances,
        plugins=parts.genesis_plugins,
        contracts=genesis_contracts(governor=validator, gas_parameters=DEFAULT_GAS_PARAMETERS, precompiles=addresses),
    )
    return with_staking(genesis)


def new_config(parts: Parts, *, name: str) -> str:
    """The configuration as commented TOML."""
    return render_template({"name": name}, [template_choice(offer) for offer in parts.chosen])


def template_choice(offer: Offer, options: Mapping[str, object] = MappingProxyType({})) -> TemplateChoice:
    """A chosen provider as the template shows it, with the options that are set."""
    return TemplateChoice(
        section=str(offer.kind),
        use=offer.name,
        comment=f"{offer.entry.summary} ({offer.source})",
        is_array=offer.kind in (Kind.PROOF_SYSTEM, Kind.SERVICE),
        options_class=offer.entry.options,
        options=options,
    )
