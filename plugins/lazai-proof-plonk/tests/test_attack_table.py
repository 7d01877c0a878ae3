"""The classes of attacks that touch PLONK, and the test that tries each: the table is held to the tests by name.

The numbers are those of the list of attacks that the plugin was built against. *API* tests call verifiers with values,
*bytes* tests hand them bytes, files or calldata.
"""

from __future__ import annotations

from functools import cache, reduce
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

TABLE = {
    "1 weak Fiat-Shamir": (
        "test_native_mode.test_context_public_values_and_their_number_are_bound",
        "test_native_mode.test_every_byte_of_the_proof_changes_every_later_challenge",
        "test_snarkjs_mode.test_every_number_of_the_proof_is_absorbed_before_the_next_challenge",
        "test_forgery.test_a_false_gate_needs_zeta_before_the_quotient",
        "test_forgery.test_a_false_copy_needs_beta_and_gamma_before_the_wires",
        "test_forgery.test_a_false_lookup_needs_eta_and_chi_before_the_multiplicities",
        "test_forgery.test_a_false_evaluation_needs_v_before_it",
    ),
    "2 last challenge": (
        "test_forgery.test_a_false_opening_needs_u_before_it",
        "test_forgery.test_knowing_v_alone_does_not_forge_an_opening",
        "test_native_mode.test_the_two_openings_cannot_be_swapped",
    ),
    "12 under-constrained circuits": (
        "test_circuit.test_gadgets_give_the_right_value_and_no_other",
        "test_circuit.test_forged_quotients_of_requantisation_are_refused",
        "test_program.test_no_second_output_is_accepted",
    ),
    "16 public inputs": (
        "test_native_mode.test_context_public_values_and_their_number_are_bound",
        "test_native_mode.test_a_public_value_that_no_gate_uses_is_bound",
        "test_conformance.TestPlonk.test_every_changed_field_of_the_statement_is_refused",
        "test_conformance.TestPlonk.test_a_proof_of_another_run_is_refused",
        "test_snarkjs_mode.test_every_public_value_is_bound",
        "test_snarkjs_mode.test_extra_and_missing_public_values_are_refused",
        "test_solidity_native.test_public_values_and_their_aliases_are_bound",
    ),
    "17 numbers that are not canonical": (
        "test_snarkjs_mode.test_aliases_of_public_values_are_refused",
        "test_snarkjs_mode.test_aliases_in_the_bytes_are_malformed",
        "test_native_mode.test_other_encodings_are_malformed",
        "test_files.test_proofs_in_other_texts_are_refused",
        "test_files.test_a_witness_value_that_is_not_canonical_is_named_by_its_offset",
        "test_solidity.test_every_changed_word_and_every_alias_is_refused",
        "test_solidity_native.test_every_changed_word_is_refused",
    ),
    "18 malleability": (
        "test_native_mode.test_what_decodes_encodes_to_the_same_bytes",
        "test_native_mode.test_an_accepted_proof_cannot_be_turned_into_another",
        "test_native_mode.test_other_encodings_are_malformed",
        "test_files.test_unknown_missing_and_doubled_keys_are_refused",
    ),
    "19 invalid points": (
        "test_snarkjs_mode.test_wrong_points_are_refused",
        "test_snarkjs_mode.test_negated_points_are_refused",
        "test_snarkjs_mode.test_an_empty_proof_is_refused",
        "test_snarkjs_mode.test_keys_with_points_off_the_curve_or_outside_the_subgroup_are_refused",
        "test_native_mode.test_negated_and_misplaced_points_are_refused",
    ),
    "20 trusted setup": (
        "test_ceremony.test_a_changed_file_of_the_public_ceremony_is_refused",
        "test_ceremony.test_the_test_ceremony_is_refused_unless_named",
        "test_ceremony.test_a_tau_of_zero_or_one_is_refused",
        "test_ceremony.test_inconsistent_powers_are_refused",
        "test_program.test_keys_of_the_test_ceremony_are_refused_by_default",
        "test_solidity.test_bad_names_and_bad_keys_give_no_contract",
    ),
    "21 verifying key": (
        "test_native_mode.test_every_field_of_the_key_is_bound",
        "test_snarkjs_mode.test_every_field_of_the_key_changes_its_digest_and_is_refused",
        "test_conformance.TestPlonk.test_other_keys_are_refused",
        "test_program.test_keys_of_several_circuits_have_one_form",
    ),
    "22 blinding": (
        "test_zero_knowledge.test_guessing_a_secret_byte_finds_nothing",
        "test_zero_knowledge.test_proofs_of_two_secrets_look_alike",
        "test_zero_knowledge.test_no_commitment_of_a_witness_repeats",
        "test_snarkjs_mode.test_two_proofs_of_one_witness_share_no_number",
        "test_snarkjs_mode.test_commitments_spread_over_the_whole_field",
    ),
    "23 commitments of two proofs": ("test_native_mode.test_points_of_two_proofs_do_not_mix",),
    "27 degenerate sizes": (
        "test_native_mode.test_degenerate_circuits",
        "test_snarkjs_mode.test_a_circuit_without_public_values_and_one_without_constraints",
        "test_snarkjs_mode.test_chains_of_every_small_size",
        "test_files.test_a_key_whose_domain_is_no_power_of_two_is_refused",
        "test_files.test_a_key_with_another_root_or_tiny_domain_is_refused",
    ),
    "28 hostile bytes": (
        "test_fuzz.test_mutations_are_refused_or_are_something_else",
        "test_conformance.TestPlonk.test_random_and_mutated_bytes_raise_nothing_but_proof_errors",
        "test_conformance.TestPlonk.test_mutated_keys_raise_nothing_but_proof_errors",
        "test_files.test_huge_counts_are_refused_at_once",
        "test_files.test_deep_large_and_strange_json_is_refused",
        "test_files.test_truncated_and_extended_files_are_refused",
        "test_solidity.test_hostile_calldata_gives_false",
    ),
}


@pytest.mark.parametrize("name", sorted({name for names in TABLE.values() for name in names}))
def test_every_test_of_the_table_is_there(name: str) -> None:
    module, *path = name.split(".")
    assert callable(reduce(getattr, path, _module(module)))


@cache
def _module(name: str) -> ModuleType:
    """A module of this folder, by its file: other plugins have tests of the same names."""
    place = Path(__file__).parent / f"{name}.py"
    spec = spec_from_file_location(f"attack_table_{name}", place)
    assert spec is not None, f"{place} is no module"
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
