"""The two sides of the MiniLM benchmark: the exact program, and the same model in torch float32 written to be fast."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.resources import files

import torch
from torch.nn.functional import embedding, gelu, layer_norm, linear, normalize, scaled_dot_product_attention

from lazai_core.api.compute import CancelToken
from lazai_core.api.job import ResourceLimits
from lazai_core.exact.models.bert import BertConfig, compile_minilm, load_package_files, read_config
from lazai_core.exact.text import FileTokenizer

from .backend import TorchCoprocessor
from .bench import timed_ms
from .options import TorchOptions

WARM_UP_RUNS = 5
Progress = Callable[[int, int, str], None]


class FloatMiniLM:
    """A BERT encoder with mean pooling, float32, one text, query, key and value in one product."""

    def __init__(self, weights: dict[str, torch.Tensor], config: BertConfig) -> None:
        self._weights = {name.removeprefix("bert."): tensor.float() for name, tensor in weights.items()}
        self._config = config
        self._layers = [self._layer_weights(f"encoder.layer.{index}") for index in range(config.layers)]

    def _pair(self, name: str) -> tuple[torch.Tensor, torch.Tensor]:
        return self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]

    def _layer_weights(self, name: str) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
        parts = [self._pair(f"{name}.attention.self.{part}") for part in ("query", "key", "value")]
        joined = torch.cat([weight for weight, _ in parts]), torch.cat([bias for _, bias in parts])
        return {
            "qkv": joined,
            "output": self._pair(f"{name}.attention.output.dense"),
            "attention_norm": self._pair(f"{name}.attention.output.LayerNorm"),
            "up": self._pair(f"{name}.intermediate.dense"),
            "down": self._pair(f"{name}.output.dense"),
            "norm": self._pair(f"{name}.output.LayerNorm"),
        }

    def __call__(self, tokens: torch.Tensor) -> torch.Tensor:
        """Token numbers `[n]` to one normalised vector."""
        weights, config = self._weights, self._config
        count = tokens.shape[0]
        x = embedding(tokens, weights["embeddings.word_embeddings.weight"])
        x = x + weights["embeddings.position_embeddings.weight"][:count]
        x = x + weights["embeddings.token_type_embeddings.weight"][0]
        x = self._norm(x, self._pair("embeddings.LayerNorm"))
        for layer in self._layers:
            parts = linear(x, *layer["qkv"]).view(count, 3, config.heads, -1).permute(1, 2, 0, 3)
            mixed = scaled_dot_product_attention(parts[0], parts[1], parts[2])
            mixed = mixed.transpose(0, 1).reshape(count, -1)
            x = self._norm(x + linear(mixed, *layer["output"]), layer["attention_norm"])
            x = self._norm(x + linear(gelu(linear(x, *layer["up"])), *layer["down"]), layer["norm"])
        return normalize(x.mean(0), dim=0)

    def _norm(self, x: torch.Tensor, pair: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        return layer_norm(x, (self._config.hidden,), pair[0], pair[1], self._config.epsilon)


def alternating_times_ms(seconds: float, tokens: int, progress: Progress) -> tuple[list[float], list[float], str]:
    """Milliseconds of exact and float32 runs, taken in turn, and the device. Checks that both agree first."""
    from safetensors.torch import load_file

    package = load_package_files()
    tokenizer = FileTokenizer(package.tokenizer)
    text = files("lazai_core.exact.data").joinpath("calibration_sentences.txt").read_text(encoding="utf-8")
    compiled = compile_minilm([tokenizer.encode(line) for line in text.splitlines() if line.strip()], files=package)
    backend = TorchCoprocessor(TorchOptions())
    loaded = backend.models.load(compiled.program, compiled.model)
    handle = torch.device(backend.device_name)
    single = FloatMiniLM(
        {name: tensor.to(handle) for name, tensor in load_file(package.weights).items()}, read_config(package.config)
    )
    ids = [101, *(1996 + 7 * k for k in range(tokens - 2)), 102]
    job_input = len(ids).to_bytes(4, "big") + b"".join(token.to_bytes(4, "little") for token in ids)
    indices = torch.tensor(ids, device=handle)

    def run_exact() -> bytes:
        return backend.execute(loaded, job_input, backend.monitor(ResourceLimits()), CancelToken()).output

    def run_float() -> object:
        with torch.inference_mode():
            return single(indices).cpu()

    for _ in range(WARM_UP_RUNS):
        run_exact()
        run_float()
    exact_ms: list[float] = []
    float_ms: list[float] = []
    started = time.monotonic()
    while (elapsed := time.monotonic() - started) < seconds:
        exact_ms.append(timed_ms(run_exact))
        float_ms.append(timed_ms(run_float))
        progress(int(100 * elapsed), int(100 * seconds), f"{len(exact_ms)} runs of each")
    return exact_ms, float_ms, backend.info.device
