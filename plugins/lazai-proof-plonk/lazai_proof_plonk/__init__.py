"""PLONK over BN254: circom and snarkjs files, proofs for nodes, contracts for any EVM chain."""
