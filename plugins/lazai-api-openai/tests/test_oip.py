"""The Open Inference Protocol: tensors in, exact integers and reals out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazai_api_openai.failures import ApiFailure
from lazai_api_openai.tensors import pack_tensors, placeholder_input, read_tensor
from lazai_core.api.program import Dim, DType, Program, Scale
from lazai_core.exact.builder import ProgramBuilder

WEIGHT = np.array([[1, 2, 3, 4], [-1, 0, 1, 0], [5, 5, -5, -5]])
BIAS = np.array([10, 20, 30])


@pytest.fixture
def ask(start_node: Callable[..., Any]) -> Iterator[Callable[..., httpx2.Response]]:
    """Send an infer request to a node whose operator pays."""
    node = start_node(unsigned="operator-pays", inputs_max=3)
    with httpx2.Client(base_url=node.url, trust_env=False) as http:

        def send(*tensors: dict[str, Any], model: str = "classifier", **fields: Any) -> httpx2.Response:
            return http.post(f"/v2/models/{model}/infer", json={"inputs": list(tensors), **fields})

        yield send


def pixels(data: list[Any], datatype: str = "INT8", shape: list[int] | None = None) -> dict[str, Any]:
    return {"name": "pixels", "shape": shape or [1, 4], "datatype": datatype, "data": data}


def outputs(response: httpx2.Response) -> dict[str, dict[str, Any]]:
    assert response.status_code == 200, response.text
    return {tensor["name"]: tensor for tensor in response.json()["outputs"]}


def test_integers_are_taken_as_they_are(ask: Callable[..., httpx2.Response]) -> None:
    x = np.array([7, -8, 127, -128])
    response = ask(pixels(x.tolist()), id="mine")
    logits = WEIGHT @ x + BIAS

    found = outputs(response)
    assert found["logits"] == {"name": "logits", "shape": [1, 3], "datatype": "INT32", "data": logits.tolist()}
    assert found["logits@fp32"]["data"] == (logits / 16).tolist()
    assert found["class"] == {"name": "class", "shape": [1], "datatype": "INT32", "data": [int(logits.argmax())]}
    assert "class@fp32" not in found
    body = response.json()
    assert (body["id"], body["model_name"], body["parameters"]) == ("mine", "classifier", {"saturated": 0})
    assert body["lazai"]["determinism"] == "exact-int"
    assert response.headers["x-lazai-job-id"] == body["lazai"]["job_ids"][0]


@pytest.mark.parametrize("datatype", ["INT16", "INT32", "INT64"])
def test_wider_integers_and_nested_data_are_the_same(ask: Callable[..., httpx2.Response], datatype: str) -> None:
    assert outputs(ask(pixels([[1, 2, 3, 4]], datatype))) == outputs(ask(pixels([1, 2, 3, 4])))


def test_reals_become_integers_by_the_scale(ask: Callable[..., httpx2.Response]) -> None:
    # The scale is 1/8: 0.06 is below half a unit, 0.0625 is half and goes up, -0.0625 goes up to 0.
    response = ask(pixels([0.06, 0.0625, -0.0625, 1e30], "FP32"))

    assert outputs(response)["logits"]["data"] == (WEIGHT @ np.array([0, 1, 0, 127]) + BIAS).tolist()
    assert response.json()["parameters"] == {"saturated": 1}


def test_a_batch_is_stacked_on_the_leading_axis(ask: Callable[..., httpx2.Response]) -> None:
    rows = np.array([[1, 2, 3, 4], [4, 3, 2, 1]])
    response = ask(pixels(rows.tolist(), shape=[2, 4]))

    assert outputs(response)["logits"]["shape"] == [2, 3]
    assert outputs(response)["logits"]["data"] == (rows @ WEIGHT.T + BIAS).ravel().tolist()
    assert len(response.json()["lazai"]["job_ids"]) == 2
    assert ask(pixels([1] * 16, shape=[4, 4])).json()["error"]["code"] == "too_many_inputs"


def test_outputs_can_be_chosen(ask: Callable[..., httpx2.Response]) -> None:
    found = outputs(ask(pixels([1, 2, 3, 4]), outputs=[{"name": "logits@fp32"}]))

    assert list(found) == ["logits@fp32"]
    assert ask(pixels([1, 2, 3, 4]), outputs=[{"name": "probabilities"}]).status_code == 400


def test_the_symbolic_dimension_comes_from_the_shape(ask: Callable[..., httpx2.Response]) -> None:
    tensor = {"name": "tokens", "shape": [1, 3], "datatype": "INT32", "data": [1, 5, 2]}
    table = [[(row * 7 + column * 5) % 23 - 11 for column in range(4)] for row in (1, 5, 2)]

    assert outputs(ask(tensor, model="bag"))["sum"]["data"] == np.array(table).sum(axis=0).tolist()
    long = {"name": "tokens", "shape": [1, 9], "datatype": "INT32", "data": [1] * 9}
    error = ask(long, model="bag").json()["error"]
    assert (error["code"], error["tokens"], error["tokens_max"]) == ("context_length_exceeded", 9, 8)


def test_fields_without_effect_are_named(ask: Callable[..., httpx2.Response]) -> None:
    response = ask(pixels([1, 2, 3, 4]), parameters={"priority": 3, "binary_data_output": False}, model_name="x")

    assert response.headers["x-lazai-ignored"] == "model_name,parameters.priority,parameters.binary_data_output"


@pytest.mark.parametrize(
    ("change", "code", "param"),
    [
        ({"inputs": []}, "invalid_request", "inputs"),
        ({"inputs": "x"}, "invalid_request", "inputs"),
        ({"inputs": [5]}, "invalid_request", "inputs[0]"),
        ({"inputs": [pixels([1, 2, 3, 4]), pixels([1, 2, 3, 4])]}, "invalid_request", "inputs"),
        ({"inputs": [pixels([1, 2, 3, 4]) | {"name": "other"}]}, "invalid_request", "inputs"),
        ({"inputs": [pixels([1, 2, 3, 4], "FP64")]}, "invalid_request", "inputs[0].datatype"),
        ({"inputs": [pixels([1, 2, 3, 4], shape=[2, 2])]}, "invalid_request", "inputs"),
        ({"inputs": [pixels([1, 2, 3, 4], shape=[-1, 4])]}, "invalid_request", "inputs[0].shape"),
        ({"inputs": [pixels([1, 2, 3, 4], shape=[True, 4])]}, "invalid_request", "inputs[0].shape"),
        ({"inputs": [pixels([1, 2, 3, 4], shape=[2**30] * 7)]}, "invalid_request", "inputs[0].data"),
        ({"inputs": [pixels([1, 2, 3])]}, "invalid_request", "inputs[0].data"),
        ({"inputs": [pixels([[1, 2], [3, 4]])]}, "invalid_request", "inputs[0].data"),
        ({"inputs": [pixels([[1, 2, 3, 4], 5])]}, "invalid_request", "inputs[0].data"),
        ({"inputs": [pixels([1, 2, 3, 4.0])]}, "invalid_request", "inputs[0].data"),
        ({"inputs": [pixels([1, 2, 3, True])]}, "invalid_request", "inputs[0].data"),
        ({"inputs": [pixels([1, 2, 3, None], "FP32")]}, "invalid_request", "inputs[0].data"),
        ({"inputs": [pixels([1, 2, 3, 128])]}, "invalid_input", "inputs"),
        ({"inputs": [pixels([1, 2, 3, 10**30])]}, "invalid_input", "inputs"),
        ({"inputs": [pixels([1, 2, 3, 1e39], "FP32")]}, "invalid_request", "inputs"),
        ({"inputs": [pixels([1, 2, 3, 10**400], "FP32")]}, "invalid_request", "inputs"),
        ({"inputs": [pixels([]) | {"parameters": {"binary_data_size": 4}}]}, "unsupported_parameter", None),
        ({"parameters": {"sequence_id": 5}}, "unsupported_parameter", "sequence_id"),
        ({"parameters": []}, "invalid_request", "parameters"),
        ({"outputs": [{"name": "logits", "parameters": {"classification": 1}}]}, "unsupported_parameter", None),
        ({"outputs": {}}, "invalid_request", "outputs"),
        ({"id": 5}, "invalid_request", "id"),
        ({"lazai": []}, "invalid_request", "lazai"),
        ({"lazai": {"dats": "x"}}, "invalid_request", "lazai.dats"),
        ({"lazai": {"proof_system": "No Name"}}, "invalid_request", "lazai.proof_system"),
    ],
)
def test_a_wrong_request_names_the_parameter(
    node: Any, http: httpx2.Client, change: dict[str, Any], code: str, param: str | None
) -> None:
    body = json.dumps({"inputs": [pixels([1, 2, 3, 4])]} | change)
    response = http.post("/v2/models/classifier/infer", content=body, headers={"content-type": "application/json"})
    error = response.json()["error"]

    assert (response.status_code, error["code"]) == (400, code), error
    if param is not None:
        assert error["param"] == param


def test_metadata_and_health(node: Any, http: httpx2.Client) -> None:
    model = http.get("/v2/models/classifier").json()

    assert http.get("/v2").json()["name"] == "lazai"
    assert model["inputs"][0] | {"parameters": None} == {
        "name": "pixels",
        "datatype": "INT8",
        "shape": [1, 4],
        "parameters": None,
    }
    assert model["inputs"][0]["parameters"] == {"low": -128, "high": 127, "scale": 0.125}
    assert [tensor["name"] for tensor in model["outputs"]] == ["logits", "logits@fp32", "class"]
    assert http.get("/v2/models/bag").json()["inputs"][0]["shape"] == [1, -1]
    assert http.get("/v2/models/bag/versions/1").status_code == 200
    assert http.get("/v2/models/bag/ready").json() == {"name": "bag", "ready": True}
    assert http.get("/v2/models/nobody/ready").status_code == 404
    assert http.get("/v2/health/live").json()["live"] is True
    assert http.get("/v2/health/ready").status_code == 200
    node.gateway.ready = False
    assert http.get("/v2/health/live").status_code == 200
    assert http.get("/v2/health/ready").status_code == 503
    assert http.get("/v2/models/bag/ready").status_code == 503


def two_inputs() -> Program:
    builder = ProgramBuilder(Dim(name="sequence", minimum=2, maximum=4))
    left = builder.input("left", DType.INT8, (-1, 2), low=-3, high=3)
    right = builder.input("right", DType.INT16, (-1, 2), low=5, high=9, scale=Scale.from_float(0.5))
    builder.output("product", builder.multiply(left, right))
    return builder.build().program


def tensor(name: str, shape: tuple[int, ...], datatype: str = "INT16", value: int = 3) -> dict[str, Any]:
    return {"name": name, "shape": list(shape), "datatype": datatype, "data": [value] * int(np.prod(shape))}


def test_inputs_are_packed_in_the_programs_order() -> None:
    given_tensors = [tensor("right", (2, 2), value=9), tensor("left", (2, 2), value=-1)]
    batch = pack_tensors(two_inputs(), [read_tensor(item, 0) for item in given_tensors], 1)

    assert batch.inputs == (b"\0\0\0\2" + b"\xff" * 4 + b"\x09\x00" * 4,)
    assert not batch.stacked


@pytest.mark.parametrize("lengths", [(2, 3), (1, 1), (5, 5)])
def test_inputs_that_do_not_agree_are_refused(lengths: tuple[int, int]) -> None:
    tensors = [tensor("left", (lengths[0], 2)), tensor("right", (lengths[1], 2), value=5)]
    with pytest.raises(ApiFailure) as caught:
        pack_tensors(two_inputs(), [read_tensor(item, 0) for item in tensors], 1)

    assert caught.value.status == 400


def test_reals_for_an_input_without_a_scale_are_refused() -> None:
    tensors = [tensor("left", (2, 2), "FP32"), tensor("right", (2, 2), value=5)]
    with pytest.raises(ApiFailure, match="takes integers"):
        pack_tensors(two_inputs(), [read_tensor(item, 0) for item in tensors], 1)


def test_a_placeholder_fits_the_program() -> None:
    program = two_inputs()
    data = placeholder_input(program, 4)

    assert data == b"\0\0\0\4" + bytes(8) + b"\x05\x00" * 8
    program.bind_input(data)


@given(st.lists(st.floats(-20, 20, width=32), min_size=4, max_size=4))
def test_quantisation_is_the_stated_formula(values: list[float]) -> None:
    builder = ProgramBuilder()
    x = builder.input("x", DType.INT8, (4,), scale=Scale.from_float(0.125))
    builder.output("y", builder.add(x, x))
    item = {"name": "x", "shape": [4], "datatype": "FP32", "data": values}
    batch = pack_tensors(builder.build().program, [read_tensor(item, 0)], 1)

    # Multiplying by 8 is exact, so this is floor(x / scale + 1/2) without rounding.
    expected = [max(-128, min(127, (2 * int(v * 8 * 2**40) + 2**40) // 2**41)) for v in values]
    assert list(np.frombuffer(batch.inputs[0][4:], np.int8)) == expected
