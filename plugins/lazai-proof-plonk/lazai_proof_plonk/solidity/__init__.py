"""Contracts that verify proofs of either mode on any EVM chain with the BN254 and SHA-256 precompiles."""
