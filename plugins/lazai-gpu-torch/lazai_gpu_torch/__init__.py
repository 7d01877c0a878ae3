"""Coprocessor that runs exact integer programs on PyTorch, on CPU and CUDA."""
