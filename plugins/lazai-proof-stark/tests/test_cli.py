"""`lazai stark`: files in, files out, exit codes 0, 1, 2 and 4, and pictures."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from click.testing import CliRunner

from lazai_core.api.errors import BackendUnavailable, InvalidInput, ProofError, ProofMalformed
from lazai_core.testing.cases import cases
from lazai_proof_stark import bench
from lazai_proof_stark.benchmarks import scaling
from lazai_proof_stark.benchmarks.exact_models import MODELS
from lazai_proof_stark.benchmarks.float_models import FLOAT_MODELS, float_model
from lazai_proof_stark.cli import stark
from lazai_proof_stark.drawing import Points, colours, line_png, line_svg, png, svg
from lazai_proof_stark.explain import Block, Chart
from lazai_proof_stark.model_files import read_lists
from lazai_proof_stark.proof_folder import hex_bytes, read_folder


def run(*arguments: object):
    result = CliRunner().invoke(stark, [str(a) for a in arguments], standalone_mode=False)
    return result


def written(folder: Path) -> dict[str, Path]:
    source = float_model("mlp_tiny")
    files = {name: folder / name for name in ("model.onnx", "calibration.json", "input.json")}
    files["model.onnx"].write_bytes(source.onnx)
    flat = [float(v) for sample in source.calibration for v in sample.reshape(-1)]
    files["calibration.json"].write_text(json.dumps({"input_data": [flat]}))
    files["input.json"].write_text(json.dumps({"input_data": [[float(v) for v in source.sample.reshape(-1)]]}))
    return files


@pytest.fixture(scope="module")
def proved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stark")
    files = written(folder)
    result = run(
        "prove", "--model", files["model.onnx"], "--calibration", files["calibration.json"],
        "--input", files["input.json"], "--out", folder / "proof", "--parameters", "dev", "--json",
    )  # fmt: skip
    assert result.exception is None, result.exception
    assert json.loads(result.stdout)["parameters"] == "dev"
    return folder / "proof"


def digest_of(proof: Path) -> str:
    return str(json.loads((proof / "statement.json").read_text())["model_digest"])


def copied(proof: Path, target: Path) -> Path:
    target.mkdir()
    for name in ("statement.json", "proof.bin", "verifying_key.bin"):
        (target / name).write_bytes((proof / name).read_bytes())
    return target


def test_commit_names_the_digest_that_proofs_are_about(proved: Path, tmp_path: Path) -> None:
    files = written(tmp_path)
    result = run(
        "commit", "--model", files["model.onnx"], "--calibration", files["calibration.json"],
        "--out", tmp_path / "key", "--parameters", "dev", "--json",
    )  # fmt: skip

    assert json.loads(result.stdout)["model_digest"] == digest_of(proved)
    assert (tmp_path / "key" / "verifying_key.bin").read_bytes() == (proved / "verifying_key.bin").read_bytes()

    again = run(
        "prove", "--model", tmp_path / "key" / "model.lazai", "--input", files["input.json"],
        "--out", tmp_path / "proof", "--parameters", "dev",
    )  # fmt: skip
    assert again.exception is None
    assert (tmp_path / "proof" / "proof.bin").read_bytes() == (proved / "proof.bin").read_bytes()


def test_a_proof_is_verified_from_its_folder_alone(proved: Path, tmp_path: Path) -> None:
    folder = copied(proved, tmp_path / "copy")

    result = run("verify", "--model-digest", digest_of(proved), "--allow-dev", "--json", folder)

    assert result.return_value == 0
    facts = json.loads(result.stdout)
    assert facts["accepted"] is True
    assert len(facts["outputs"]["output"]) == 3


def test_weak_proofs_are_refused_unless_allowed(proved: Path) -> None:
    result = run("verify", "--model-digest", digest_of(proved), proved)

    assert result.return_value == 4
    assert "security" in result.stdout


def test_the_programs_digest_is_no_model_digest(proved: Path) -> None:
    program = json.loads((proved / "statement.json").read_text())["program_digest"]

    result = run("verify", "--model-digest", program, "--allow-dev", proved)

    assert result.return_value == 4
    assert "names the program only" in result.stdout


@pytest.mark.parametrize("digest", ["0x" + "11" * 32, "zz", "0x11", ""])
def test_other_digests_are_refused(proved: Path, digest: str) -> None:
    assert run("verify", "--model-digest", digest, "--allow-dev", proved).return_value == 4


@pytest.mark.parametrize("name", ["statement.json", "proof.bin", "verifying_key.bin"])
def test_every_missing_or_changed_file_ends_with_4(proved: Path, tmp_path: Path, name: str) -> None:
    folder = copied(proved, tmp_path / "copy")
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(bytes(data))
    assert run("verify", "--model-digest", digest_of(proved), "--allow-dev", "--json", folder).return_value == 4
    (folder / name).unlink()
    assert run("verify", "--model-digest", digest_of(proved), "--allow-dev", folder).return_value == 4


def test_mutated_statements_raise_proof_errors_only(proved: Path, tmp_path: Path) -> None:
    folder = copied(proved, tmp_path / "copy")
    original = (folder / "statement.json").read_bytes()
    for case in cases(60):
        with case:
            changed = case.mutate(original)
            (folder / "statement.json").write_bytes(changed)
            try:
                read_folder(folder)
            except ProofMalformed:
                continue


@pytest.mark.parametrize("text", ["", "11", "0x1", "0x1G", "0xAB", "0x 11", "0x11\n"])
def test_hexadecimal_is_canonical(text: str) -> None:
    with pytest.raises(ProofMalformed, match="hexadecimal"):
        hex_bytes(text, "field")


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"input_data": 3}', '{"input_data": [["x"]]}', '{"input_data": []}', '{"input_data": [[1e999]]}'],
)
def test_misshapen_inputs_are_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "input.json"
    path.write_text(content)

    with pytest.raises(InvalidInput, match=r"input\.json"):
        read_lists(path)


def test_explain_draws_every_byte(proved: Path, tmp_path: Path) -> None:
    result = run("explain", proved, "--svg", tmp_path / "out.svg", "--json")

    sizes = json.loads(result.stdout)["sizes"]
    assert sum(size for kinds in sizes.values() for size in kinds.values()) == (proved / "proof.bin").stat().st_size
    assert {"commit", "lookups", "products", "open activations", "open weights"} == set(sizes)
    root = ElementTree.fromstring((tmp_path / "out.svg").read_text())
    titles = [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}title")]
    assert any(title.startswith("open weights") for title in titles)
    assert "prove ms" in run("explain", proved, "--svg", tmp_path / "out.svg").stdout


def test_explain_refuses_what_verify_refuses(proved: Path, tmp_path: Path) -> None:
    folder = copied(proved, tmp_path / "copy")
    (folder / "proof.bin").write_bytes((folder / "proof.bin").read_bytes()[:-4])

    assert isinstance(run("explain", folder).exception, ProofError)


def test_names_in_pictures_are_escaped() -> None:
    chart = Chart(title="<size>", unit="B", root=Block("a&b", 2.0, (Block("<c>", 2.0),)))

    assert ElementTree.fromstring(svg([chart])) is not None


def test_png_needs_matplotlib_and_says_so() -> None:
    chart = Chart(title="size", unit="B", root=Block("all", 2.0, (Block("part", 1.0),)))
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        with pytest.raises(BackendUnavailable, match=r"\[plots\]"):
            png([chart])
    else:
        assert png([chart]).startswith(b"\x89PNG")
        assert line_png("t", "x", "y", [Points(name="a", points=((1.0, 2.0), (9.0, 3.0)))]).startswith(b"\x89PNG")


def test_a_stage_has_one_colour_in_all_charts_and_a_legend() -> None:
    first = Chart(title="time", unit="ms", root=Block("all", 100.0, (Block("wide", 99.0), Block("narrow", 1.0))))
    second = Chart(title="size", unit="B", root=Block("all", 1234.0, (Block("narrow", 1234.0),)))

    text = svg([first, second])

    assert text.count(f'fill="{colours([first, second])["narrow"]}"') == 4
    assert "narrow 1 (1 %)" in text
    assert "narrow 1,234 (100 %)" in text


def test_plots_name_their_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling, "WIDTHS", (8, 16))
    monkeypatch.setattr(scaling, "RUNS", 1)
    result = run(
        "bench", "mlp_tiny", "mlp_784", "--seconds", "0.1", "--parameters", "dev", "--plot", tmp_path / "size.svg"
    )

    assert result.exit_code == 0, result.output
    text = (tmp_path / "size.svg").read_text(encoding="utf-8")
    ElementTree.fromstring(text)
    assert ">mlp_tiny<" in text
    assert ">mlp_784<" in text
    assert ">width 16<" in text
    assert "cells committed to" in text


def test_lines_span_whole_decades() -> None:
    text = line_svg("t", "x", "y", [Points(name="prove", points=((30.0, 0.01), (4e6, 0.5)))])

    assert all(f"1e{power}" in text for power in range(1, 8))
    ElementTree.fromstring(text)


def test_bench_measures_a_model_against_its_bar() -> None:
    result = run("bench", "mlp_tiny", "--seconds", "0.1", "--parameters", "dev", "--json")

    report = json.loads(result.stdout)
    assert report["failures"] == []
    (figures,) = report["figures"]
    assert figures["name"] == "mlp_tiny"
    assert figures["proof_bytes"] > 0
    assert report["speed"]["multiplications"] > 0
    assert "KoalaBear" in run("bench", "mlp_tiny", "--seconds", "0.1", "--parameters", "dev").stdout


def test_permutations_are_counted() -> None:
    assert bench.permutation_rate("dev", 4) > 0
    assert bench.PERMUTATIONS in bench.chosen_names(())


def test_large_models_wait_for_a_large_budget() -> None:
    assert "minilm_32" not in bench.chosen_names((), 10.0)
    assert {"minilm_32", "gpt2_small"} <= set(bench.chosen_names((), 600.0))
    with pytest.raises(InvalidInput, match="mlp_784"):
        bench.chosen_names(("mlp",))


def test_networks_of_one_shape_span_three_decades() -> None:
    assert scaling.WIDTHS[-1] ** 2 >= 1000 * scaling.WIDTHS[0] ** 2
    assert sum(array.size for array in scaling.dense_network(32).constants) == 2 * (32 * 32 + 32)


def test_the_hook_gives_results_with_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling, "WIDTHS", (8,))
    monkeypatch.setattr(bench, "chosen_names", lambda names, seconds: ("mlp_784",))
    (item,) = bench.benchmarks()

    results = item.run(0.1, lambda done, total, text: None)

    assert [result.bar for result in results] == ["<= 50 ms", "<= 10 ms", "<= 200 KiB"]
    assert set(results[0].pictures) >= {"stark-size.svg"}


def test_seeded_models_have_the_published_sizes() -> None:
    sizes = {name: float_model(name).parameters for name in ("mlp_784", "lenet_max", "cnn_264k", "tf1_gelu")}

    assert sizes == {"mlp_784": 101_770, "lenet_max": 44_426, "cnn_264k": 263_970, "tf1_gelu": 50_634}
    assert set(FLOAT_MODELS) <= set(MODELS)
