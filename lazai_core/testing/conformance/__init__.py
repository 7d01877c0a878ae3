"""Conformance suites, one class for each kind of entry: subclass, give `entry`, and dozens of tests run.

    class TestEclipse(GasPolicyConformance):
        @pytest.fixture
        def entry(self):
            return plugin.ECLIPSE

`build` functions and options classes must stand at module level, where a node would find them too.
"""

from __future__ import annotations

from .consensus import ConsensusConformance
from .coprocessor import CoprocessorConformance
from .curve_kernels import CurveKernelsConformance
from .field_kernels import FieldKernelsConformance
from .gas_policy import Eip1559Conformance, GasPolicyConformance
from .hygiene import PluginHygiene
from .precompile import Example, PrecompileConformance
from .proof_system import ProofSystemConformance
from .service import ServiceConformance
from .storage import StorageConformance

__all__ = [
    "ConsensusConformance",
    "CoprocessorConformance",
    "CurveKernelsConformance",
    "Eip1559Conformance",
    "Example",
    "FieldKernelsConformance",
    "GasPolicyConformance",
    "PluginHygiene",
    "PrecompileConformance",
    "ProofSystemConformance",
    "ServiceConformance",
    "StorageConformance",
]
