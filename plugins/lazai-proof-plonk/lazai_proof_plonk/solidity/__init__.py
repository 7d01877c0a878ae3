"""Contracts that verify proofs of snarkjs mode on any EVM chain with the BN254 precompiles."""
