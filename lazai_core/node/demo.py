"""`run_demo`: a node on this machine and real requests through the whole data path, shown step by step."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from math import sqrt
from pathlib import Path
from typing import Any

from attrs import define, field

from lazai_core.api.consensus import validators_hash
from lazai_core.api.errors import LazAIError
from lazai_core.api.types import (
    AI_CALL_ADDRESS,
    MODEL_REGISTRY_ADDRESS,
    SETTLEMENT_ADDRESS,
    hash_from_hex,
    to_hex,
)
from lazai_core.chain.abi import encode_call
from lazai_core.chain.system_calls import (
    APPEND,
    DEPOSIT,
    FINISH_VERIFYING_KEY,
    REGISTER_MODEL,
    SET_VERIFYING_KEY,
    STORE_CONSTANTS,
    InferInlineCall,
)
from lazai_core.config import load_config
from lazai_core.registry import Kind, discover, load_catalog

from .assemble import Node, assemble
from .blueprint import make_blueprint
from .demo_models import DemoModel, Digits, make_digits, make_minilm
from .demo_network import compare_heads, meet, run_lazai
from .demo_report import DemoReport, Step
from .demo_wallet import DemoWallet
from .devnet import Devnet, RunningNetwork, free_base_port, read_devnet
from .identity import KeyIdentity, Secret, new_private_key
from .logs import configure_logs
from .supervisor import running

STARK = "stark"
"""Name of the proof system that the demonstration also uses where its plugin is installed."""
VALIDATORS = 4
DEPOSIT_WEI = 10**19
REGISTER_GAS = 25_000_000
DEPOSIT_GAS = 200_000
STORE_GAS = 5_000_000
KEY_PIECE_BYTES, KEY_PIECE_GAS = 48_000, 15_000_000
MODEL_PRICE_WEI = 10**9
SENTENCES = ("A cat sits on the mat.", "Someone's kitten is resting on a rug.")


@define(kw_only=True)
class _Demo:
    """What the steps share."""

    folder: Path
    out: Path
    report: DemoReport
    wallet_key: Secret = field(factory=new_private_key)
    receipts: list[Path] = field(factory=list)
    with_stark: bool = False
    facts: dict[str, Any] = field(factory=dict)


def run_demo(out: Path | None = None) -> int:
    """Run the demonstration. Returns 0, or 1 with the reason on standard error.

    With `out`, receipts and `summary.json` are left in that folder.
    """
    configure_logs("warning")
    report = DemoReport()
    try:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lazai-demo-")))
            target = folder / "out" if out is None else out
            (target / "receipts").mkdir(parents=True, exist_ok=True)
            _steps(_Demo(folder=folder, out=target, report=report))
    except (LazAIError, OSError, subprocess.SubprocessError) as error:
        sys.stderr.write(f"the demonstration stopped: {error}\n")
        return 1
    report.line(f"all of it took {report.seconds:.1f} s", style="bold")
    if out is not None:
        report.line(f"receipts and {(out / 'summary.json').name} are in {out}")
    return 0


def _steps(demo: _Demo) -> None:
    demo.report.title("LazAI: one paid request from API to block, then a sentence model, then offline proof")
    models = demo.folder / "models"
    with demo.report.step("Train a classifier of handwritten digits and make it an exact integer program") as (step, _):
        digits = make_digits(models)
        _show_model(step, digits.served)
        step.show("accuracy", f"{digits.exact_accuracy:.2%} exact, {digits.float_accuracy:.2%} float")
        step.note(exact_accuracy=digits.exact_accuracy, float_accuracy=digits.float_accuracy, images=digits.images)
    with demo.report.step("Compile the MiniLM sentence encoder to an exact integer program") as (step, move):
        minilm = make_minilm(models, move)
        _show_model(step, minilm)
    with demo.report.step("Make a chain of four validators, with keys, and plan the first of them") as (step, _):
        devnet, node = _make_network(demo, step, (digits.served, minilm))
    try:
        # The first validator lives in this process, where its inside can be shown; the others are on their own.
        with RunningNetwork(devnet, {"LAZAI_LOG__LEVEL": "warning"}, skip=1) as others:
            asyncio.run(_live(demo, node, others, digits, minilm))
    finally:
        node.close()
    with demo.report.step("Verify the receipts offline, in a fresh process") as (step, _):
        trust = to_hex(validators_hash(node.blueprint.genesis.validators))
        _verify(demo, step, trust, (digits.served, minilm))
    demo.report.write_summary(demo.out, demo.facts)


def _show_model(step: Step, model: DemoModel) -> None:
    program = model.model.program
    size = sum(constant.byte_size for constant in program.constants)
    step.show("program", f"{to_hex(model.digest)}  {len(program.ops)} operations, {size:,} bytes of constants")
    step.note(model=model.name, digest=to_hex(model.digest), operations=len(program.ops), constant_bytes=size)


def _make_network(demo: _Demo, step: Step, models: tuple[DemoModel, ...]) -> tuple[Devnet, Node]:
    wallet = KeyIdentity(demo.wallet_key).address
    catalog = load_catalog(discover())
    catalog.find(Kind.SERVICE, "openai")
    demo.with_stark = any(offer.name == STARK for offer in catalog.offers(Kind.PROOF_SYSTEM))
    folder = demo.folder / "network"
    run_lazai(
        *("devnet", "--init-only", "--dir", str(folder), "--validators", str(VALIDATORS)),
        *("--base-port", str(free_base_port(VALIDATORS)), "--fund", to_hex(wallet)),
        *(argument for model in models for argument in ("--model", str(model.folder))),
        *(("--proof", STARK) if demo.with_stark else ()),
    )
    devnet = read_devnet(folder)
    first = devnet.nodes[0]
    blueprint = make_blueprint(load_config(first.config), catalog)
    node = assemble(blueprint)
    demo.facts |= {
        "base_url": f"http://{first.api}",
        "chain_id": blueprint.genesis.chain_id,
        "genesis_hash": to_hex(blueprint.genesis.hash),
        "node": to_hex(node.identity.address),
        "wallet": to_hex(wallet),
        "plugins": dict(blueprint.genesis.plugins),
    }
    step.show("genesis", f"{to_hex(blueprint.genesis.hash)}, chain {blueprint.genesis.chain_id}")
    step.show("parts", ", ".join(part.key for part in blueprint.parts))
    return devnet, node


async def _live(demo: _Demo, node: Node, others: RunningNetwork, digits: Digits, minilm: DemoModel) -> None:
    report = demo.report
    with ExitStack() as stack:
        step, move = stack.enter_context(report.step("Start four validators, three of them in processes of their own"))
        services = running(node.services)
        await services.__aenter__()
        await meet(node, others, move)
        step.show("API", demo.facts["base_url"])
        step.show("services", ", ".join(service.name for service in node.services))
        for peer in node.gateway.node_status().peers:
            step.show("peer", f"{to_hex(peer.address)} at {peer.remote}")
    try:
        wallet = DemoWallet(demo.wallet_key, node.gateway, demo.facts["base_url"])
        with report.step("Deposit escrow and register both models, by raw transactions") as (step, move):
            await _register(step, wallet, (digits.served, minilm), move)
        with report.step("Send a held-out digit through the HTTP API, signed by the wallet") as (step, _):
            answer = await asyncio.to_thread(_ask_digit, wallet, digits)
            _show_digit(step, digits, answer)
            await _show_evm_gas(step, wallet, answer)
            await _save_receipts(demo, step, wallet, answer)
        with report.step("Read the same answer inside the virtual machine, in a view call") as (step, _):
            await _inline(step, node, wallet, digits, answer)
        if demo.with_stark:
            with report.step("Prove the same digit with STARK: nobody needs to run the model again") as (step, _):
                await _prove_digit(demo, step, node, wallet, digits)
        with report.step("Embed two sentences with MiniLM through the OpenAI API") as (step, _):
            answer = await asyncio.to_thread(_ask_embeddings, wallet)
            _show_embeddings(step, answer)
            await _show_evm_gas(step, wallet, answer)
            await _save_receipts(demo, step, wallet, answer)
        if demo.with_stark:
            with report.step("Prove the first embedding with STARK, all of the encoder's weights") as (step, move):
                await _prove_embedding(demo, step, node, wallet, minilm, answer, move)
        with report.step("See that all four validators have the same chain") as (step, _):
            demo.facts |= await compare_heads(step, node, others)
    finally:
        await services.__aexit__(None, None, None)


async def _register(step: Step, wallet: DemoWallet, models: tuple[DemoModel, ...], move: Any) -> None:
    # All at once: they share blocks, and a block takes a second of the chain's time.
    deposit = await wallet.send(SETTLEMENT_ADDRESS, encode_call(DEPOSIT), value=DEPOSIT_WEI, gas=DEPOSIT_GAS)
    registered = []
    for model in models:
        skeleton = model.model.program.skeleton()
        data = encode_call(REGISTER_MODEL, skeleton, model.name, "", MODEL_PRICE_WEI)
        sent = await wallet.send(MODEL_REGISTRY_ADDRESS, data, gas=REGISTER_GAS)
        registered.append((model.name, len(skeleton), sent))
    status = await wallet.included(deposit)
    step.show("deposit", f"{DEPOSIT_WEI / 10**18:g} coins, block {status.height}, {status.gas_used:,} gas")
    step.note(deposit_gas=status.gas_used)
    for done, (name, size, sent) in enumerate(registered, 1):
        status = await wallet.included(sent)
        step.show(name, f"{size:,} bytes of skeleton, block {status.height}, {status.gas_used:,} gas")
        step.note(**{f"register_{name}_gas": status.gas_used})
        move(done, len(models))


def _ask_digit(wallet: DemoWallet, digits: Digits, proof_system: str = "") -> dict[str, Any]:
    tensor = {"name": "pixels", "shape": [1, 64], "datatype": "FP32", "data": list(digits.pixels)}
    name = digits.served.name
    body: dict[str, Any] = {"inputs": [tensor]}
    if proof_system:
        body["lazai"] = {"proof_system": proof_system}
    return wallet.ask(f"/v2/models/{name}/infer", body, model=name)


def _show_digit(step: Step, digits: Digits, answer: dict[str, Any]) -> None:
    scores = next(item["data"] for item in answer["outputs"] if item["name"] == "scores")
    found = max(range(len(scores)), key=lambda index: scores[index])
    for number, line in enumerate(digits.picture()):
        step.show("image" if number == 0 else "", line)
    step.show("answer", f"{found}, the label is {digits.label}")
    step.note(answer=found, label=digits.label)
    _show_settlement(step, answer)


def _show_settlement(step: Step, answer: dict[str, Any]) -> None:
    said = answer["lazai"]
    gas = said["gas"]
    step.show("settled", f"block {said['height']}, transaction {said['transaction']}")
    step.show("gas", f"{int(gas['compute_gas']):,} compute gas for {int(gas['flops']):,} FLOPs")
    step.show("cost", f"{int(said['cost']):,} wei from escrow")
    step.note(
        compute_gas=int(gas["compute_gas"]),
        flops=int(gas["flops"]),
        cost_wei=str(said["cost"]),
        transaction=said["transaction"],
        block=said["block"],
        height=said["height"],
        receipts=said["receipts"],
    )


async def _show_evm_gas(step: Step, wallet: DemoWallet, answer: dict[str, Any]) -> None:
    status = await wallet.included(hash_from_hex(answer["lazai"]["transaction"]))
    step.show("EVM gas", f"{status.gas_used:,}, the compute gas paid through it included")
    step.note(gas_used=status.gas_used)


async def _save_receipts(demo: _Demo, step: Step, wallet: DemoWallet, answer: dict[str, Any]) -> None:
    said = answer["lazai"]
    for receipt_id in said["receipts"]:
        data = await asyncio.to_thread(wallet.fetch, f"/v1/lazai/receipts/{receipt_id}")
        path = demo.out / "receipts" / f"{receipt_id}.json"
        path.write_bytes(data)
        demo.receipts.append(path)
        step.show("receipt", f"{path.name}, {len(data):,} bytes")


async def _inline(step: Step, node: Node, wallet: DemoWallet, digits: Digits, answer: dict[str, Any]) -> None:
    model = digits.served.model
    blobs = {bytes(model.constant(index).data): None for index in range(len(model.constants))}
    calls = [encode_call(STORE_CONSTANTS, blob) for blob in blobs]
    sent = [await wallet.send(MODEL_REGISTRY_ADDRESS, data, gas=STORE_GAS) for data in calls]
    gas = sum([(await wallet.included(transaction_hash)).gas_used for transaction_hash in sent])
    step.show("constants", f"{sum(map(len, blobs)):,} bytes kept in state, {gas:,} gas")
    job_input = _digit_input(digits)
    call = InferInlineCall(model=digits.served.digest, input=job_input)
    output = await node.gateway.call(AI_CALL_ADDRESS, call.encode())
    scores = next(item["data"] for item in answer["outputs"] if item["name"] == "scores")
    same = _inline_scores(digits, output) == scores
    step.show("view call", f"inferInline gives {'the same scores, bit by bit' if same else 'OTHER SCORES'}")
    step.note(same_as_settled=same)


async def _prove_digit(demo: _Demo, step: Step, node: Node, wallet: DemoWallet, digits: Digits) -> None:
    """Put the model's verifying key on chain, then ask for the digit with a proof."""
    key = await _committed(step, node, digits.served)
    data = encode_call(SET_VERIFYING_KEY, digits.served.digest, STARK, key)
    status = await wallet.transact(MODEL_REGISTRY_ADDRESS, data, gas=STORE_GAS)
    step.show("verifying key", f"{len(key):,} bytes kept in state, {status.gas_used:,} gas")
    started = time.perf_counter()
    answer = await asyncio.to_thread(_ask_digit, wallet, digits, STARK)
    seconds = time.perf_counter() - started
    scores = next(item["data"] for item in answer["outputs"] if item["name"] == "scores")
    found = max(range(len(scores)), key=lambda index: scores[index])
    step.show("answer", f"{found}, proved and settled {seconds:.2f} s after the request")
    step.note(proof_system=STARK, verifying_key_bytes=len(key), request_seconds=round(seconds, 3))
    _show_settlement(step, answer)
    await _save_receipts(demo, step, wallet, answer)


async def _prove_embedding(
    demo: _Demo, step: Step, node: Node, wallet: DemoWallet, minilm: DemoModel, attested: dict[str, Any], move: Any
) -> None:
    """The same for the sentence encoder: its key is too long for one transaction."""
    key = await _committed(step, node, minilm)
    pieces = [key[start : start + KEY_PIECE_BYTES] for start in range(0, len(key), KEY_PIECE_BYTES)]
    gas = 0
    for done, piece in enumerate(pieces, 1):
        sent = await wallet.transact(MODEL_REGISTRY_ADDRESS, encode_call(APPEND, 0, piece), gas=KEY_PIECE_GAS)
        gas += sent.gas_used
        move(done, len(pieces) + 1)
    data = encode_call(FINISH_VERIFYING_KEY, 0, minilm.digest, STARK)
    gas += (await wallet.transact(MODEL_REGISTRY_ADDRESS, data, gas=STORE_GAS)).gas_used
    step.show("verifying key", f"{len(key):,} bytes kept in state by {len(pieces) + 1} transactions, {gas:,} gas")
    started = time.perf_counter()
    answer = await asyncio.to_thread(_ask_embeddings, wallet, SENTENCES[:1], STARK)
    seconds = time.perf_counter() - started
    same = answer["data"][0]["embedding"] == attested["data"][0]["embedding"]
    step.show("sentence", SENTENCES[0])
    step.show("answer", f"{'the same vector' if same else 'ANOTHER VECTOR'}, proved and settled in {seconds:.2f} s")
    step.note(same_as_settled=same, verifying_key_bytes=len(key), request_seconds=round(seconds, 3))
    _show_settlement(step, answer)
    await _save_receipts(demo, step, wallet, answer)


async def _committed(step: Step, node: Node, served: DemoModel) -> bytes:
    """The model's verifying key: its weights are committed to once."""
    started = time.perf_counter()
    key = await asyncio.to_thread(node.room.proofs[STARK].prepare, served.model.program, served.model)
    weights = sum(constant.size for constant in served.model.constants)
    step.show("commitment", f"to {weights:,} weights in {time.perf_counter() - started:.1f} s, once a model")
    return key.verifying_key.data


def _digit_input(digits: Digits) -> bytes:
    """The job input that the API makes of the pixels: `floor(x / scale + 1/2)`."""
    import numpy as np

    from lazai_core.exact.codec import encode_inputs

    program = digits.served.model.program
    declared = program.inputs[0]
    integers = np.floor(np.asarray(digits.pixels) / declared.scale.to_float() + 0.5).astype(np.int64)
    return encode_inputs(program, [np.clip(integers, declared.low, declared.high).reshape(declared.shape)])


def _inline_scores(digits: Digits, output: bytes) -> list[int]:
    from lazai_core.chain.abi import decode_arguments
    from lazai_core.exact.codec import decode_outputs

    (data,) = decode_arguments(["bytes"], output)
    bound = digits.served.model.program.bind()
    return [int(value) for value in decode_outputs(bound, data)[0].ravel()]


def _ask_embeddings(wallet: DemoWallet, sentences: Sequence[str] = SENTENCES, proof_system: str = "") -> dict[str, Any]:
    body: dict[str, Any] = {"model": "minilm", "input": list(sentences), "encoding_format": "float"}
    if proof_system:
        body["lazai"] = {"proof_system": proof_system}
    return wallet.ask("/v1/embeddings", body, model="minilm")


def _show_embeddings(step: Step, answer: dict[str, Any]) -> None:
    first, second = (item["embedding"] for item in answer["data"])
    cosine = _cosine(first, second)
    for sentence in SENTENCES:
        step.show("sentence", sentence)
    step.show("cosine", f"{cosine:.4f}")
    step.note(cosine=round(cosine, 6), tokens=answer["usage"]["prompt_tokens"])
    _show_settlement(step, answer)


def _cosine(a: list[float], b: list[float]) -> float:
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return dot / sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def _verify(demo: _Demo, step: Step, trust: str, models: tuple[DemoModel, ...]) -> None:
    """One fresh process that has the receipts, the hash to trust and the models, and nothing of the node."""
    folders = [argument for model in models for argument in ("--model", str(model.folder))]
    text = run_lazai("verify", *map(str, demo.receipts), "--trust", trust, *folders, "--json")
    outcomes = json.loads(text)["receipts"]
    for outcome in outcomes:
        step.show(Path(outcome["file"]).stem[:12] + "…", "accepted" if outcome["accepted"] else "REFUSED")
        for kind in ("proven", "assumed"):
            for number, text in enumerate(outcome[kind]):
                step.show("", f"{kind if number == 0 else ' ' * len(kind)}  {text}")
    step.show("trust", outcomes[0]["trust"])
    step.note(verified=sum(outcome["accepted"] for outcome in outcomes), trust=trust)
