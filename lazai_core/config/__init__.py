"""The configuration: one TOML file and the environment, to a typed `NodeConfig`, with every problem at once.

    loaded = load_config(Path("node.toml"), environ=os.environ)     # or ConfigError
    loaded.config.node.name
    problems: list[Problem] = []
    for choice in loaded.config.choices():                            # consensus, coprocessor, proof, …
        options = loaded.structure_options(entry.options, choice, problems)
    if problems: raise ConfigError(problems)

This room does not know what plugins there are; who joins it with the registry reports an unknown name with
`loaded.problem(choice.use_path, str(error))`.
"""

from __future__ import annotations

from .load import IncompleteConfig, LoadedConfig, load_config, parse_config
from .schema import Choice, Chosen, NodeConfig, Role

__all__ = ["Choice", "Chosen", "IncompleteConfig", "LoadedConfig", "NodeConfig", "Role", "load_config", "parse_config"]
