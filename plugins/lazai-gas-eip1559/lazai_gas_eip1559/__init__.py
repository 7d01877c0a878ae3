"""Gas policy with an EIP-1559 base fee for EVM gas and, separately, for compute gas."""
