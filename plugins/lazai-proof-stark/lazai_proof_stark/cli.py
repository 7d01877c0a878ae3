"""`lazai stark`: commit to a model, prove a run, verify it without weights, measure, and look into a proof.

Exit codes are those of `lazai`: 0 fine, 1 failed, 2 wrong usage, 4 a proof was refused.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from .profile import StageProfile
    from .runs import ProvedRun
    from .system import StarkProofSystem

EXIT_FAILED, EXIT_REFUSED = 1, 4
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
_PICTURE = click.Path(path_type=Path, dir_okay=False)
_OUT = click.Path(path_type=Path, file_okay=False)

_model = click.option("--model", type=_FILE, required=True, help="ONNX file, or an exact program file.")
_calibration = click.option("--calibration", type=_FILE, help='Typical inputs for ONNX: {"input_data": [[...]]}.')
_out = click.option("--out", type=_OUT, required=True, help="Folder to write to.")
_parameters = click.option("--parameters", default="proven100", show_default=True, help="Parameter set.")
_json = click.option("--json", "as_json", is_flag=True, help="Print a JSON document.")


@click.group(short_help="Prove and verify model runs.", context_settings={"help_option_names": ["-h", "--help"]})
def stark() -> None:
    """Transparent proofs of exact integer programs: no trusted set-up, verified without weights."""


@stark.command(short_help="Commit to a model's weights.")
@_model
@_calibration
@_out
@_parameters
@_json
def commit(model: Path, calibration: Path | None, out: Path, parameters: str, as_json: bool) -> int:
    """Commit to a model once and write its verifying key.

    The model digest that is printed binds graph, weights and parameters: publish it, and verify against it.
    """
    from lazai_core.api.types import to_hex
    from lazai_core.exact.program_file import write_program

    from .kernels.first_use import telling_compilation
    from .model_files import load_model
    from .proof_folder import write_key

    _say("compiling the model")
    exact = load_model(model, calibration)
    _say("committing to the weights")
    with telling_compilation(_say):
        key = _system(parameters).prepare(exact.program, exact)
    write_key(out, key.verifying_key)
    write_program(out / "model.lazai", exact)
    facts: dict[str, Any] = {
        "model_digest": to_hex(key.verifying_key.digest),
        "program_digest": to_hex(key.verifying_key.program_digest),
        "parameters": parameters,
        "verifying_key_bytes": len(key.verifying_key.data),
        "operations": len(exact.program.ops),
        "weights": sum(array.size for array in exact.constants),
    }
    _print(facts, as_json)
    return 0


@stark.command(short_help="Prove one run of a model.")
@_model
@_calibration
@click.option("--input", "input_file", type=_FILE, required=True, help='One input: {"input_data": [[...]]}.')
@_out
@_parameters
@click.option("--chain-id", type=click.IntRange(0, 2**64 - 1), default=0, help="Chain that the statement names.")
@_json
def prove(
    model: Path,
    calibration: Path | None,
    input_file: Path,
    out: Path,
    parameters: str,
    chain_id: int,
    as_json: bool,
) -> int:
    """Run a model on one input and prove the run; leaves proof.bin, statement.json and the verifying key."""
    from lazai_core.api.types import to_hex

    from .kernels.first_use import telling_compilation
    from .model_files import job_input_of, load_model, read_lists
    from .proof_folder import PROFILE, ProofFolder, write_folder
    from .runs import prove_run, run_model

    _say("compiling the model")
    exact = load_model(model, calibration)
    _say("running the model")
    run = run_model(exact, job_input_of(exact, read_lists(input_file)), chain_id)
    system = _system(parameters)
    _say("committing to the weights")
    with telling_compilation(_say):
        key = system.prepare(exact.program, exact)
        proved = prove_run(system, key, run, tell=lambda stage: _say(f"proving: {stage}"))
    folder = ProofFolder(key=key.verifying_key, statement=run.statement, proof=proved.envelope)
    write_folder(out, folder)
    (out / PROFILE).write_text(json.dumps(proved.profile.document(), indent=2) + "\n", encoding="utf-8")
    if not as_json:
        for line in _stage_lines(proved.profile.stages):
            click.echo(line)
    _print(_proof_facts(proved, to_hex(folder.model_digest)), as_json)
    return 0


@stark.command(short_help="Verify a proof without the model.")
@click.option("--model-digest", required=True, metavar="D", help="The digest that `commit` printed, from its owner.")
@click.option("--allow-dev", is_flag=True, help="Accept proofs of the weak set `dev`, for tests.")
@click.argument("folder", metavar="DIR", type=_FOLDER)
@_json
def verify(model_digest: str, allow_dev: bool, folder: Path, as_json: bool) -> int:
    """Verify the proof in DIR; needs neither weights nor witness. Ends with 0, or with 4 when it is refused."""
    import time

    from lazai_core.api.errors import ProofError
    from lazai_core.api.proof import AcceptancePolicy

    from .kernels.first_use import telling_compilation
    from .proof_folder import read_folder

    system = _system("proven100")
    started = time.perf_counter_ns()
    try:
        content = read_folder(folder)
        _check_digest(model_digest, content.model_digest, content.statement.program_digest)
        policy = AcceptancePolicy(security_bits_min=0) if allow_dev else AcceptancePolicy()
        with telling_compilation(_say):
            verdict = system.verify(content.key, content.statement, content.proof, policy)
        outputs = _outputs(system, content.key, content.statement)
    except ProofError as refusal:
        if as_json:
            _print({"accepted": False, "reason": str(refusal)}, True)
        else:
            click.echo(f"REFUSED   {folder}\n  {refusal}")
        return EXIT_REFUSED
    facts = {
        "accepted": True,
        "proven": verdict.proven,
        "assumed": verdict.assumed,
        "milliseconds": (time.perf_counter_ns() - started) / 1e6,
        "proof_bytes": len(content.proof.data),
        "outputs": outputs,
    }
    if not as_json:
        click.echo(f"accepted  {folder}")
    _print(facts, as_json)
    return 0


@stark.command(short_help="Measure this machine against the bars.")
@click.argument("models", metavar="[MODEL]...", nargs=-1)
@click.option("--seconds", type=click.FloatRange(0.1, 3600), default=10.0, show_default=True, help="Time budget.")
@click.option("--vs", "peer", type=click.Choice(["ezkl"]), help="Run a peer on the same models in the same run.")
@click.option("--peer-seconds", type=click.FloatRange(1, 36000), default=3600.0, show_default=True, help="Its limit.")
@click.option(
    "--plot", type=click.Path(path_type=Path, dir_okay=False), help="Draw prove time against size: FILE.svg, FILE.png."
)
@_parameters
@_json
def bench(
    models: tuple[str, ...],
    seconds: float,
    peer: str | None,
    peer_seconds: float,
    plot: Path | None,
    parameters: str,
    as_json: bool,
) -> int:
    """Prove and verify the benchmark models called MODEL (all of them by default)."""
    from lazai_core.api.errors import InvalidInput

    from .bench import BenchOptions, chosen_names, model_figures, report_lines, size_plots
    from .kernels.first_use import telling_compilation

    try:
        names = chosen_names(models, seconds)
    except InvalidInput as cause:
        raise click.UsageError(cause.message) from cause
    options = BenchOptions(
        names=names,
        seconds=seconds,
        peer=peer or "",
        peer_seconds=peer_seconds,
        with_scaling=plot is not None,
        parameters=parameters,
    )
    with telling_compilation(_say):
        figures = model_figures(options, lambda _done, _total, text: _say(text))
    if plot is not None:
        for suffix, data in size_plots(figures).items():
            plot.with_suffix(suffix).write_bytes(data)
    if as_json:
        _print(figures.document(), True)
    else:
        for line in report_lines(figures):
            click.echo(line)
    return EXIT_FAILED if figures.failures else 0


@stark.command(short_help="Draw where a proof's time and bytes go.")
@click.argument("folder", metavar="DIR", type=_FOLDER)
@click.option("--svg", "svg_file", type=click.Path(path_type=Path, dir_okay=False), help="Default: DIR/explain.svg.")
@click.option("--png", "png_file", type=click.Path(path_type=Path, dir_okay=False), help="Needs matplotlib.")
@_json
def explain(folder: Path, svg_file: Path | None, png_file: Path | None, as_json: bool) -> int:
    """Draw the proof in DIR as icicle charts of size and time per stage. A refused proof ends with 4."""
    from .drawing import png, svg
    from .explain import explain as explained
    from .proof_folder import PROFILE, read_folder

    content = read_folder(folder)
    profile = folder / PROFILE
    found = explained(_system("proven100"), content, profile.read_bytes() if profile.is_file() else None)
    target = svg_file or folder / "explain.svg"
    target.write_text(svg(found.charts()), encoding="utf-8")
    if png_file is not None:
        png_file.write_bytes(png(found.charts()))
    if as_json:
        _print(found.document(), True)
        return 0
    rows = [("stage", "KiB", "verify ms", "prove ms", "peak MiB")]
    for stage in dict.fromkeys([*found.prove_nanoseconds, *found.sizes, *found.verify_nanoseconds]):
        rows.append(
            (
                stage,
                f"{sum(found.sizes.get(stage, {}).values()) / 1024:.1f}",
                f"{found.verify_nanoseconds.get(stage, 0) / 1e6:.2f}",
                f"{found.prove_nanoseconds.get(stage, 0) / 1e6:.2f}",
                f"{found.memory_bytes_peak.get(stage, 0) / 2**20:.0f}",
            )
        )
    for line in _table(rows):
        click.echo(line)
    click.echo(f"picture: {target}")
    return 0


def _check_digest(given: str, model_digest: bytes, program_digest: bytes) -> None:
    from lazai_core.api.errors import ProofRejected

    from .proof_folder import hex_bytes

    text = given.lower()
    wanted = hex_bytes(text if text.startswith("0x") else f"0x{text}", "--model-digest", 32)
    if wanted == model_digest:
        return
    if wanted == program_digest:
        raise ProofRejected(
            "this digest names the program only; whoever made the proof could have committed to other weights",
            check="model digest",
            hint="take the model digest that `lazai stark commit` prints",
        )
    raise ProofRejected(f"the proof is about model 0x{model_digest.hex()}", check="model digest")


def _outputs(system: StarkProofSystem, key: Any, statement: Any) -> dict[str, list[float]]:
    from lazai_core.exact.codec import decode_outputs

    program = system.material(key).program
    arrays = decode_outputs(program.bind_input(statement.input), statement.output)
    return {
        declared.name: [float(value) * (declared.scale.to_float() or 1.0) for value in array.reshape(-1)[:1000]]
        for declared, array in zip(program.outputs, arrays, strict=True)
    }


def _system(parameters: str) -> StarkProofSystem:
    from lazai_core.api.errors import AssemblyError

    from .options import StarkOptions
    from .system import StarkProofSystem

    try:
        return StarkProofSystem(StarkOptions(parameters=parameters))
    except AssemblyError as cause:
        raise click.UsageError(cause.message) from cause


def _proof_facts(proved: ProvedRun, model_digest: str) -> dict[str, Any]:
    profile = proved.profile
    return {
        "model_digest": model_digest,
        "parameters": profile.parameters,
        "proof_bytes": profile.proof_bytes,
        "milliseconds": profile.seconds * 1e3,
        "memory_bytes_peak": profile.memory_bytes_peak,
        "stages": profile.document()["stages"],
    }


def _stage_lines(stages: tuple[StageProfile, ...]) -> list[str]:
    rows = [("stage", "ms", "peak MiB")]
    rows += [(s.name, f"{s.nanoseconds / 1e6:.1f}", f"{s.memory_bytes_peak / 2**20:.0f}") for s in stages]
    return _table(rows)


def _table(rows: list[Any]) -> list[str]:
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    lines = []
    for name, *cells in rows:
        numbers = [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)]
        lines.append("  ".join([name.ljust(widths[0]), *numbers]))
    return lines


def _say(text: str) -> None:
    click.echo(f"{text} …", err=True)


def _print(facts: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(facts, indent=2, sort_keys=True))
        return
    for name, value in facts.items():
        if name not in ("stages", "accepted"):
            click.echo(f"{name.replace('_', ' ')}: {value}")


def main() -> int:
    """Run without `lazai`: the same exit codes, failures on one line."""
    from lazai_core.api.errors import LazAIError, ProofError

    try:
        result = stark.main(standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except LazAIError as error:
        click.echo(f"error: {error}", err=True)
        return EXIT_REFUSED if isinstance(error, ProofError) else EXIT_FAILED
    except OSError as error:
        click.echo(f"error: {error.filename}: {error.strerror or error}", err=True)
        return EXIT_FAILED


if __name__ == "__main__":
    sys.exit(main())
