"""Shapes and keys of engines, and what is said where the parser refuses a node. Nothing here needs TensorRT."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnx
import pytest

from engines.cache import EngineCache
from engines.errors import BackendMissingError, EngineError
from engines.tensorrt import build as building
from engines.tensorrt.binding import tensorrt
from engines.tensorrt.build import Layout, build, check_writable, engine_key, layers_of, layout_of, range_of
from engines.tensorrt.options import Range, TensorRTOptions
from slicer.manifest import TensorSpec
from tests.engines.tensorrt.stand_ins import NewError, OldError

IMAGE = TensorSpec("input", "float32", ("N", 3, 32, 32))
TOKENS = TensorSpec("ids", "int64", ("N", "sequence"))
SQUARE = TensorSpec("mask", "float32", ("N", 1, "sequence", "sequence"))
ODD = TensorSpec("odd", "float32", ("N", "?"))


def test_an_image_has_batches_from_one_to_the_most_and_is_made_for_the_favoured() -> None:
    found = range_of(IMAGE, 8, 32, TensorRTOptions())
    assert found == Range((1, 3, 32, 32), (8, 3, 32, 32), (32, 3, 32, 32))
    assert range_of(IMAGE, 64, 4, TensorRTOptions()).best == (4, 3, 32, 32)


def test_lengths_are_those_of_the_lanes_on_every_axis_that_follows_them() -> None:
    options = TensorRTOptions(lengths=(32, 128, 64))
    assert range_of(TOKENS, 4, 8, options) == Range((1, 32), (4, 64), (8, 128))
    assert range_of(SQUARE, 4, 8, options) == Range((1, 1, 32, 32), (4, 1, 64, 64), (8, 1, 128, 128))


def test_shapes_that_are_given_go_before_all_others() -> None:
    own = Range((1, 1), (2, 5), (3, 9))
    assert range_of(ODD, 8, 32, TensorRTOptions(ranges={"odd": own})) == own


@pytest.mark.parametrize(("tensor", "options"), [(TOKENS, TensorRTOptions()), (ODD, TensorRTOptions(lengths=(8,)))])
def test_a_dimension_that_nobody_tells_is_refused_with_the_options_that_would(
    tensor: TensorSpec, options: TensorRTOptions
) -> None:
    with pytest.raises(EngineError, match=f"'{tensor.name}'.*--lengths.*--min-shapes"):
        range_of(tensor, 8, 32, options)


@pytest.mark.parametrize("shapes", [((2, 3), (1, 3), (4, 3)), ((1, 3), (2, 3), (4, 3, 3)), ((0, 3), (1, 3), (1, 3))])
def test_shapes_that_do_not_rise_are_refused(shapes: tuple[Any, Any, Any]) -> None:
    with pytest.raises(ValueError, match="wanted"):
        Range(*shapes)


@pytest.mark.parametrize(
    "wrong",
    [
        {"precision": "int4"},
        {"max_batch": 0},
        {"level": 6},
        {"workspace_bytes": 0},
        {"small_batch": -1},
        {"small_batch": 8, "max_batch": 8},
        {"small_batch": 1, "ranges": {"x": Range((1,), (1,), (1,))}},
    ],
    ids=str,
)
def test_impossible_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="wanted"):
        TensorRTOptions(**wrong)


def test_layers_are_json_whatever_stands_between_their_names() -> None:
    told = '{"Layers": [{"Name": "conv", "Metadata": "[ONNX Layer: conv]\x1e[ONNX Layer: relu]"}]}'
    assert json.loads(layers_of(told)) == json.loads(told, strict=False)
    assert json.loads(layers_of("no layers"))["unreadable"] == "no layers"


def test_a_key_names_all_that_an_engine_depends_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "version", lambda: "tensorrt 8.6.0")
    ranges = {"input": Range((1, 3), (2, 3), (4, 3))}
    base = TensorRTOptions()

    linear: dict[str, Layout] = {"x": "LINEAR"}

    def key(sha: str = "a", halves: dict[str, Layout] = linear, options: TensorRTOptions = base, gpu: str = "H") -> str:
        return engine_key(sha, ranges, halves, options, gpu)

    keys = [
        key(),
        key("b"),
        key(halves={}),
        key(options=TensorRTOptions("fp16")),
        key(gpu="A"),
        key(halves={"x": "HWC8"}),
    ]
    keys += [key(options=TensorRTOptions(level=1)), key(options=TensorRTOptions(small_batch=2))]
    keys += [engine_key("a", {}, linear, base, "H")]
    monkeypatch.setattr(building, "version", lambda: "tensorrt 10.0.0")
    keys.append(key())
    assert len(set(keys)) == len(keys)
    monkeypatch.setattr(building, "version", lambda: "tensorrt 8.6.0")
    assert (
        key(options=TensorRTOptions(timing_cache=Path("x"))) == key()
    )  # it makes building faster, and changes nothing


@pytest.mark.parametrize("few", [0, 2])
def test_small_batches_get_an_engine_beside_that_of_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(building, "version", lambda: "tensorrt 8.6.0")

    alike: list[tuple[object, ...]] = []

    def plan(file: Path, ranges: dict[str, Range], *others: object) -> tuple[bytes, str]:
        alike.append((file, *others))
        return str(ranges["input"].most[0]).encode(), f"made for {ranges['input'].best[0]}"

    monkeypatch.setattr(building, "_plan", plan)
    options, cache = TensorRTOptions(max_batch=16, small_batch=few), EngineCache(tmp_path)
    halves: dict[str, Layout] = {"x": "HWC8"}
    made = build(Path("stage_0.onnx"), "sha", [IMAGE], 4, halves, options, cache, device="H", label="stage 0")
    found = {file.name: file.read_text() for file in made.folder.iterdir() if file.name != "meta.json"}
    of_all = {"engine.plan": "16", "layers.json": "made for 4"}
    assert found == {**of_all, **({"small_engine.plan": "2", "small_layers.json": "made for 2"} if few else {})}
    # Boundaries, too, are the same for both: each reads what the other has written.
    assert len(alike) == 1 + bool(few) and all(each == alike[0] and halves in each for each in alike)


@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        (("N", 64, 56, 56), "HWC8"),
        (("N", 3, 224, 224), "LINEAR"),  # channels would be filled up to eight: rows would be longer
        (("N", 1000), "LINEAR"),
        (("N", 128, 768), "LINEAR"),
        (("N", 8, "sequence", "sequence"), "LINEAR"),
        (("N", "?", 8, 8), "LINEAR"),
    ],
)
def test_pictures_pass_between_stages_with_their_channels_last_where_rows_stay_as_long(
    shape: tuple[int | str, ...], layout: Layout
) -> None:
    assert layout_of(TensorSpec("t", "float32", shape)) == layout


def test_boundaries_become_halves_in_the_layout_that_was_agreed_on() -> None:
    trt: Any = SimpleNamespace(float32="float32", float16="float16", TensorFormat=SimpleNamespace(LINEAR=0, HWC8=2))
    taken, given = SimpleNamespace(name="a", dtype="float32"), SimpleNamespace(name="b", dtype="float32")
    counted, answer = SimpleNamespace(name="c", dtype="int64"), SimpleNamespace(name="answer", dtype="float32")
    ins, outs = [taken, counted], [given, answer]
    network = SimpleNamespace(num_inputs=2, num_outputs=2, get_input=ins.__getitem__, get_output=outs.__getitem__)
    building._pass_halves(trt, network, {"a": "HWC8", "b": "LINEAR", "c": "LINEAR"})
    assert vars(taken) == {"name": "a", "dtype": "float16", "allowed_formats": 1 << 2}
    assert vars(given) == {"name": "b", "dtype": "float16", "allowed_formats": 1 << 0}
    assert vars(counted) == {"name": "c", "dtype": "int64"}  # whole numbers stay what they are
    assert vars(answer) == {"name": "answer", "dtype": "float32"}


class Parser:
    """Has refused two nodes."""

    num_errors = 2

    def get_error(self, index: int) -> Any:
        error: Any = (OldError, NewError)[index]()
        error.desc = lambda: ("unsupported", "no kernel")[index]
        return error


def test_a_refused_operator_is_named_by_its_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = [onnx.helper.make_node("Relu", [f"t{i}"], [f"t{i + 1}"], name=f"node_{i}") for i in range(5)]
    graph = onnx.helper.make_graph(nodes, "g", [onnx.helper.make_tensor_value_info("t0", 1, [1])],
                                   [onnx.helper.make_tensor_value_info("t5", 1, [1])])  # fmt: skip
    onnx.save(onnx.helper.make_model(graph), tmp_path / "stage_0.onnx")
    monkeypatch.setattr(building, "version", lambda: "tensorrt 8.6.0")
    told = building._refusal(Parser(), tmp_path / "stage_0.onnx")
    assert told == (
        "stage_0.onnx: tensorrt 8.6.0 cannot take it: node node_3 (Relu): unsupported; node conv_3 (Relu): no kernel"
    )


def test_without_tensorrt_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)  # whether or not it is installed here
    tensorrt.cache_clear()
    with pytest.raises(BackendMissingError, match=re.escape("pip install 'dvabatch[tensorrt]'")):
        tensorrt()


def test_a_file_of_timings_that_cannot_be_written_is_refused_before_anything_is_built(tmp_path: Path) -> None:
    check_writable(tmp_path / "new" / "deeper" / "timings")
    (tmp_path / "file").touch()
    check_writable(tmp_path / "file")
    with pytest.raises(EngineError, match=r"--timing-cache .* cannot be written: it is a folder; name a file"):
        check_writable(tmp_path)
    with pytest.raises(EngineError, match=f"cannot be written: {tmp_path / 'file'} takes no file; name a file"):
        check_writable(tmp_path / "file" / "timings")
