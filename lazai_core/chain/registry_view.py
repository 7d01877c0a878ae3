"""Programs as the model registry holds them in state, decoded once per digest."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from lazai_core.api.errors import EncodingError, InvalidProgram
from lazai_core.api.precompile import StatePort
from lazai_core.api.program import Program
from lazai_core.api.types import MODEL_REGISTRY_ADDRESS, ZERO_ADDRESS, ModelId

from .storage_layout import mapping_slot, word_address
from .system_state import read_constant, read_skeleton

_MODELS, _CONSTANTS = 0, 1
PROGRAMS_CACHED_MAX = 256


class RegistryView:
    """Reads programs and constants through a `StatePort`.

    Whether a model is registered is asked of the state every time, since states differ; what its bytes mean is a
    function of the digest alone and remembered.
    """

    def __init__(self) -> None:
        self._programs: OrderedDict[ModelId, Program | None] = OrderedDict()

    def is_registered(self, state: StatePort, model: ModelId) -> bool:
        """Whether the registry knows the model in this state."""
        word = state.storage(MODEL_REGISTRY_ADDRESS, mapping_slot(_MODELS, model))
        return word_address(word) != ZERO_ADDRESS

    def program(self, state: StatePort, model: ModelId) -> Program | None:
        """The program, or None where the model is not registered or its bytes are no valid program."""
        if not self.is_registered(state, model):
            return None
        if model in self._programs:
            self._programs.move_to_end(model)
            return self._programs[model]
        program = _decode(read_skeleton(state, model) or b"")
        self._programs[model] = program
        if len(self._programs) > PROGRAMS_CACHED_MAX:
            self._programs.popitem(last=False)
        return program

    def has_constants(self, state: StatePort, program: Program) -> bool:
        """Whether the registry holds every constant of the program, each with its declared size."""
        return all(
            state.storage(MODEL_REGISTRY_ADDRESS, mapping_slot(_CONSTANTS, constant.digest)) == constant.byte_size
            for constant in program.constants
        )

    def constants(self, state: StatePort, program: Program) -> Sequence[bytes] | None:
        """The bytes of each constant in the program's order, or None where one is missing."""
        if not self.has_constants(state, program):
            return None
        found = [read_constant(state, constant.digest) for constant in program.constants]
        return [data for data in found if data is not None]


def _decode(skeleton: bytes) -> Program | None:
    try:
        return Program.from_skeleton(skeleton)
    except (EncodingError, InvalidProgram):
        # The registry keeps whatever was uploaded; bytes that are no program can never run.
        return None


