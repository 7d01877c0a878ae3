"""BN254 on tensors: the steps that `lazai_core.api.curve_kernels` describes."""
