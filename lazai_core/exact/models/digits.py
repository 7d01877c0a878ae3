"""A small classifier of handwritten digits, trained in seconds on scikit-learn's bundled images.

Input `pixels` is `[1, 64]` with entries in `[0, 1]` (the 8x8 image over 16), output `scores` is `[1, 10]`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from attrs import field, frozen

from lazai_core.api.errors import BackendUnavailable

Array = np.ndarray[Any, np.dtype[Any]]

HIDDEN_UNITS = 32
HELD_OUT_EVERY = 4
CALIBRATION_IMAGES = 256


@frozen(kw_only=True, eq=False)
class DigitsModel:
    """The trained model and its data; rows of images are `[64]` floats in `[0, 1]`."""

    onnx: bytes = field(repr=False)
    train_images: Array = field(repr=False)
    test_images: Array = field(repr=False)
    test_labels: Array = field(repr=False)
    float_accuracy: float

    def calibration(self) -> Sequence[Mapping[str, Array]]:
        """Training images as inputs of the model."""
        return [{"pixels": row[None, :]} for row in self.train_images[:CALIBRATION_IMAGES]]


def train_digits(seed: int = 0) -> DigitsModel:
    """Train on three quarters of the images and hold out every fourth; the same seed gives the same bytes.

    Raises `BackendUnavailable` when scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
        from sklearn.neural_network import MLPClassifier
    except ImportError as error:
        raise BackendUnavailable("the digits model needs scikit-learn", hint="pip install scikit-learn") from error
    images, labels = load_digits(return_X_y=True)
    images = (images / 16.0).astype(np.float32)
    held_out = np.arange(len(images)) % HELD_OUT_EVERY == 0
    network = MLPClassifier(
        hidden_layer_sizes=(HIDDEN_UNITS,),
        random_state=seed,
        max_iter=200,
        learning_rate_init=0.01,
        batch_size=64,
        alpha=1e-3,
        early_stopping=True,
        n_iter_no_change=15,
    )
    network.fit(images[~held_out], labels[~held_out])
    return DigitsModel(
        onnx=digits_onnx(network.coefs_, network.intercepts_),
        train_images=images[~held_out],
        test_images=images[held_out],
        test_labels=labels[held_out],
        float_accuracy=float(network.score(images[held_out], labels[held_out])),
    )


def digits_onnx(weights: Sequence[Array], biases: Sequence[Array]) -> bytes:
    """ONNX bytes of a ReLU network; `weights[i]` is `[inputs, outputs]`."""
    from onnx import TensorProto, helper, numpy_helper

    nodes, constants, name = [], [], "pixels"
    for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        last = layer == len(weights) - 1
        constants.append(numpy_helper.from_array(weight.astype(np.float32), f"weight_{layer}"))
        constants.append(numpy_helper.from_array(bias.astype(np.float32), f"bias_{layer}"))
        result = "scores" if last else f"sums_{layer}"
        inputs = [name, f"weight_{layer}", f"bias_{layer}"]
        nodes.append(helper.make_node("Gemm", inputs, [result], name=f"dense_{layer}"))
        if not last:
            nodes.append(helper.make_node("Relu", [result], [f"hidden_{layer}"], name=f"relu_{layer}"))
            name = f"hidden_{layer}"
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [1, weights[0].shape[0]])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, weights[-1].shape[1]])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    return bytes(model.SerializeToString(deterministic=True))
