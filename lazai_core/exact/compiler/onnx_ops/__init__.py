"""The meaning of ONNX operators that act on activations, by family; each module has its table `TRANSLATORS`."""
