"""What a config may hold, and what it says about what it may not hold."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from dvabatch_cli.config import Config, ConfigError, config_of
from dvabatch_cli.config.document import parse_document
from dvabatch_cli.config.engine import EngineSection
from dvabatch_cli.config.lengths import HistogramLengths
from dvabatch_cli.config.load import GammaLoad, MmppLoad, PoissonLoad, RampLoad, ReplayLoad, StepLoad
from dvabatch_cli.config.model import NetworkModel
from dvabatch_cli.config.policies import EntryOptions, LoadDvaOptions, OperatorDvaOptions
from dvabatch_cli.config.validate import build

MMPP = {"process": "mmpp", "states": [0.1, 0.9], "dwell_ms": [200, 200]}
LENGTHS = {"distribution": "uniform", "high": 128}


def raw_config(**changes: Any) -> dict[str, Any]:
    """A config as short as can be with top-level keys changed; None takes one away."""
    raw = {
        "name": "x",
        "model": {"network": "tiny_resnet"},
        "policies": [{"scheduler_type": "NORMAL"}],
        "load": {"utilization": 0.5},
        **changes,
    }
    return {name: value for name, value in raw.items() if value is not None}


def config(**changes: Any) -> Config:
    return config_of(raw_config(**changes))


def problems(**changes: Any) -> list[str]:
    """The lines of the error that the changed config raises; none if it is fine."""
    try:
        config(**changes)
    except ConfigError as error:
        return str(error).splitlines()
    return []


def problem(**changes: Any) -> str:
    [only] = problems(**changes)
    return only.removeprefix("config: ")


def load(**changes: Any) -> dict[str, Any]:
    return {"load": {"utilization": 0.5, **changes}}


def shaped(**changes: Any) -> dict[str, Any]:
    return {"load": {**MMPP, **changes}}


def policy(kind: str, **options: Any) -> dict[str, Any]:
    return {"policies": [{"scheduler_type": kind, **options}]}


def test_defaults_are_filled_in() -> None:
    short = config(
        engine={"max_batch": 8},
        slicing={"stages": 6},
        policies=[{"scheduler_type": "NORMAL"}, {"scheduler_type": "LOAD_DVA"}, {"scheduler_type": "NORMAL"}],
    )
    assert isinstance(short.model, NetworkModel)
    assert short.model.input == (3, 32, 32)
    assert [each.name for each in short.policies] == ["NORMAL 1", "LOAD_DVA", "NORMAL 2"]
    stretching = short.policies[1]
    assert isinstance(stretching, LoadDvaOptions)
    assert (stretching.max_batch_size, stretching.max_allow_merge_batchsize) == (8, 8)
    assert stretching.max_allow_merge_stage == 3
    assert stretching.merge_age_us(1000.0) is None
    assert isinstance(short.load, PoissonLoad)
    assert (short.load.utilization, short.load.num_requests, short.load.seeds) == ((0.5,), 2000, (1,))
    assert short.baselines == ("untuned", "swept")
    assert (short.checks.sample, short.checks.tolerance, short.slo) == (64, 1e-4, None)


def test_limits_are_absolute_or_relative_to_the_whole() -> None:
    absolute = config(**policy("LOAD_DVA", max_allow_merge_microseconds=30)).policies[0]
    relative = config(**policy("LOAD_DVA", max_allow_merge_of_whole=2)).policies[0]
    assert isinstance(absolute, LoadDvaOptions)
    assert isinstance(relative, LoadDvaOptions)
    assert (absolute.merge_age_us(1000.0), relative.merge_age_us(1000.0)) == (30, 2000)
    delays = [
        config(**policy("NORMAL", max_queue_delay_microseconds=20)).policies[0],
        config(**policy("NORMAL", max_queue_delay_of_whole=0.5)).policies[0],
    ]
    assert [each.queue_delay_us(1000.0) for each in delays if isinstance(each, EntryOptions)] == [20, 500]


@pytest.mark.parametrize("option", ["instances", "max_queue_delay_microseconds", "max_queue_delay_of_whole"])
def test_a_policy_that_enters_at_once_refuses_options_of_waiting(option: str) -> None:
    assert "it is an option of NORMAL" in problem(**policy("LOAD_DVA", **{option: 1}))


def test_a_config_is_frozen() -> None:
    with pytest.raises(ValidationError):
        config().engine.max_batch = 3


def test_a_section_checks_itself_at_birth() -> None:
    with pytest.raises(ValidationError, match="a latency table"):
        EngineSection(backend="table")


def test_rates_are_absolute_or_relative() -> None:
    assert config(**load(utilization=[0.5, 0.25])).load.rates_rps(100.0) == (50.0, 25.0)
    assert config(load={"request_rate": 7}).load.rates_rps(100.0) == (7.0,)


def test_burstiness_may_be_infinite() -> None:
    gamma = config(**load(process="gamma", burstiness="inf"))
    assert isinstance(gamma.load, GammaLoad)
    assert gamma.load.burstiness == math.inf
    assert gamma.resolved()["load"]["burstiness"] == "inf"


def test_levels_have_a_unit_or_only_a_shape() -> None:
    own = config(**shaped()).load
    assert isinstance(own, MmppLoad)
    assert (own.unit, own.rates_rps(100.0), own.level_rps(0.9, 100.0)) == ("utilization", (), 90.0)
    absolute = config(**shaped(unit="request_rate")).load
    assert isinstance(absolute, MmppLoad)
    assert absolute.level_rps(0.9, 100.0) == 0.9
    scaled = config(**shaped(utilization=[0.3, 0.6])).load
    assert isinstance(scaled, MmppLoad)
    assert (scaled.unit, scaled.rates_rps(100.0)) == (None, (30.0, 60.0))


def test_steps_and_ramps_end_with_themselves() -> None:
    step = config(load={"process": "step", "steps": [[2, 0.1], [3, 0.9]]}).load
    ramp = config(load={"process": "ramp", "from": 0, "to": 0.9, "over_s": 4}).load
    assert isinstance(step, StepLoad)
    assert isinstance(ramp, RampLoad)
    assert (step.duration_s, ramp.duration_s, ramp.start) == (5, 4, 0)
    assert step.num_requests is None


def test_lanes_are_sorted_and_shared() -> None:
    lengthy = config(
        **load(lengths=LENGTHS),
        policies=[
            {"scheduler_type": "NORMAL"},
            {"scheduler_type": "INPUT_DVA", "preferred_seq_len": [128, 32]},
            {"scheduler_type": "NORMAL_INPUT", "preferred_seq_len": [32, 128]},
        ],
    )
    assert [each.preferred_seq_len for each in lengthy.policies] == [(32, 128)] * 3
    assert lengthy.lanes == (32, 128)


def test_policies_of_one_config_share_their_lanes() -> None:
    text = problem(
        **load(lengths=LENGTHS),
        policies=[
            {"scheduler_type": "INPUT_DVA", "preferred_seq_len": [32, 128]},
            {"scheduler_type": "NORMAL_INPUT", "preferred_seq_len": [64]},
        ],
    )
    assert "policies[1].preferred_seq_len: got [64], wanted the lengths of policies[0], [32, 128], or none" in text


def test_input_dva_runs_as_many_batches_as_there_are_executors() -> None:
    lengthy = config(
        **load(lengths=LENGTHS),
        engine={"executors_per_stage": 3},
        policies=[{"scheduler_type": "INPUT_DVA", "preferred_seq_len": [32, 128]}, {"scheduler_type": "NORMAL"}],
    )
    assert [each.instances for each in lengthy.policies] == [3, 1]


def test_a_histogram_is_sorted_by_length() -> None:
    lengths = config(
        **load(lengths={"distribution": "histogram", "weights": {"128": 1, "32": 3}}),
        **policy("NORMAL", preferred_seq_len=[128]),
    ).load.lengths
    assert isinstance(lengths, HistogramLengths)
    assert list(lengths.by_length.items()) == [(32, 3), (128, 1)]


def test_paths_are_relative_to_the_folder(tmp_path: Path) -> None:
    for name in ("t.json", "p.npz", "m.onnx", "r.csv"):
        (tmp_path / name).touch()
    raw = raw_config(
        model={"onnx": "m.onnx", "shapes": {"x": [1, 3]}, "bind": {"sr": 16000}},
        inputs={"x": {"file": "p.npz"}},
        load={"process": "replay", "file": "r.csv"},
    )
    found = config_of(raw, folder=tmp_path)
    assert (found.onnx_path, found.replay_path) == (tmp_path / "m.onnx", tmp_path / "r.csv")
    assert (found.input_paths, found.table_path) == ({"x": tmp_path / "p.npz"}, None)
    assert isinstance(found.load, ReplayLoad)
    assert found.load.num_requests is None
    table = config_of(
        raw_config(model=None, engine={"backend": "table", "table": "t.json"}), folder=tmp_path, source="t"
    )
    assert (table.table_path, table.model, table.folder) == (tmp_path / "t.json", None, tmp_path)
    assert table.resolved()["engine"]["table"] == "t.json"


NETWORKS = {"network": "tiny_resnt"}
CASES: list[tuple[dict[str, Any], str]] = [
    # the root
    ({"name": None}, "name: got nothing, wanted a value"),
    ({"name": "../x"}, 'name: got "../x", wanted a plain folder name'),
    ({"name": ".."}, 'name: got "..", wanted a plain folder name'),
    ({"name": "a/b"}, 'name: got "a/b", wanted a plain folder name'),
    ({"name": ""}, 'name: got "", wanted a plain folder name'),
    ({"name": "a\n"}, 'name: got "a\\n", wanted a plain folder name'),
    ({"polices": []}, 'polices: got an unknown key, wanted one of "$schema", "name"'),
    ({"polices": []}, 'did you mean "policies"?'),
    ({"policies": []}, "policies: got [], wanted at least 1 value"),
    ({"policies": {}}, "policies: got {}, wanted a list"),
    ({"load": None}, "load: got nothing, wanted a value: it is required"),
    ({"load": 5}, "load: got 5, wanted an object"),
    ({"faults": [{}]}, "faults: got [{}], wanted an empty list"),
    (
        {"baselines": ["untund"]},
        'baselines[0]: got "untund", wanted one of "untuned", "swept": did you mean "untuned"?',
    ),
    ({"baselines": ["swept", "swept"]}, "baselines: got"),
    ({"slo": {"response_ms": 0}}, "slo.response_ms: got 0, wanted a number above 0"),
    ({"slo": {"response_ms": 5, "quantile": 1.5}}, "slo.quantile: got 1.5, wanted a number of at most 1"),
    ({"checks": {"sample": -1}}, "checks.sample: got -1, wanted a number of at least 0"),
    ({"checks": {"tolerance": "x"}}, 'checks.tolerance: got "x", wanted a number'),
    # model and inputs
    ({"model": None}, 'got no model, wanted a model for the backend "auto"'),
    ({"model": NETWORKS}, 'model.network: got "tiny_resnt", wanted one of "bert_base", '),
    ({"model": NETWORKS}, 'did you mean "tiny_resnet"?'),
    ({"model": {"network": "tiny_resnet", "input": [3, 8.0, 8]}}, "model.input[1]: got 8.0, wanted a whole number"),
    ({"model": {"onnx": "gone.onnx"}}, 'model.onnx: got "gone.onnx", wanted an existing file'),
    ({"model": {"onnx": "\0"}}, 'model.onnx: got "\\u0000", wanted an existing file'),
    ({"inputs": {"a.b": {"pad": "0"}}}, 'inputs["a.b"].pad: got "0", wanted a number'),
    ({"inputs": {"a": {"low": 1, "high": 1}}}, "inputs.a.high: got 1, wanted more than low (1)"),
    ({"inputs": {"a": {"high": 1, "mask_of": "b"}, "b": {}}}, "inputs.a.high: got high beside mask_of"),
    ({"inputs": {"mask": {"mask_of": "idz"}, "ids": {}}}, 'got "idz", wanted "ids": did you mean "ids"?'),
    ({"inputs": {"a": {"mask_of": "a"}}}, 'inputs.a.mask_of: got "a", wanted another input'),
    # engine and slicing
    ({"slicing": {"stages": 0}}, "slicing.stages: got 0, wanted a number of at least 1"),
    ({"engine": {"max_batch": True}}, "engine.max_batch: got true, wanted a whole number"),
    ({"engine": {"max_batch": 10**30}}, "engine.max_batch: got 1000"),
    ({"engine": {"backend": "tensort"}}, 'did you mean "tensorrt"?'),
    ({"engine": {"backend": "table"}, "model": None}, "engine: got no table, wanted the path of a latency table"),
    ({"engine": {"backend": "table", "table": "x"}}, 'engine.table: got "x", wanted an existing file'),
    # policies
    (policy("LOADDVA"), 'policies[0].scheduler_type: got "LOADDVA", wanted one of "NORMAL", "NORMAL_INPUT"'),
    (policy("LOADDVA"), 'did you mean "LOAD_DVA"?'),
    ({"policies": [{}]}, "policies[0].scheduler_type: got nothing, wanted one of"),
    ({"policies": [{"scheduler_type": []}]}, "policies[0].scheduler_type: got [], wanted one of"),
    (
        policy("NORMAL", max_batchsize=8),
        'policies[0].max_batchsize: got an unknown key, wanted one of "scheduler_type"',
    ),
    (policy("NORMAL", max_batchsize=8), 'did you mean "max_batch_size"?'),
    (policy("NORMAL", favor_per_stage=[1]), "it is an option of OPERATOR_DVA, HYBRID_DVA"),
    (policy("NORMAL", max_batch_size=33), "policies[0].max_batch_size: got 33, wanted at most engine.max_batch (32)"),
    (policy("NORMAL", instances=5), "instances: got 5, wanted at most engine.executors_per_stage (4)"),
    (policy("NORMAL", name="a\tb"), 'policies[0].name: got "a\\tb", wanted 1 to 64 printable characters'),
    (policy("NORMAL", max_queue=0), "policies[0].max_queue: got 0, wanted a number of at least 1"),
    (
        policy("NORMAL", max_queue_delay_microseconds=1, max_queue_delay_of_whole=1),
        "policies[0].max_queue_delay_of_whole: got both max_queue_delay_microseconds and max_queue_delay_of_whole",
    ),
    (
        policy("HYBRID_DVA", max_allow_merge_microseconds=1, max_allow_merge_of_whole=1),
        "policies[0].max_allow_merge_of_whole: got both",
    ),
    (policy("LOAD_DVA", max_allow_merge_stage=4), "got 4, wanted at most slicing.stages - 1 (3)"),
    (policy("LOAD_DVA", max_allow_merge_batchsize=64), "got 64, wanted at most engine.max_batch (32)"),
    (policy("OPERATOR_DVA", favor_per_stage=[4, 8]), "got 2 values, wanted one for each of slicing.stages (4)"),
    (policy("OPERATOR_DVA", favor_per_stage=[4, 8, 0, 4]), "favor_per_stage[2]: got 0, wanted a number of at least 1"),
    (
        policy("HYBRID_DVA", favor_per_stage=[4, 8, 64, 4]),
        "favor_per_stage[2]: got 64, wanted at most engine.max_batch",
    ),
    (policy("INPUT_DVA"), "policies[0]: got INPUT_DVA without preferred_seq_len"),
    (policy("NORMAL", preferred_seq_len=[8]), "policies[0].preferred_seq_len: got lanes for queries without a length"),
    (
        {**policy("NORMAL", preferred_seq_len=[8, 8]), **load(lengths=LENGTHS)},
        "policies[0].preferred_seq_len: got [8, 8], wanted each length once",
    ),
    (
        {"policies": [{"scheduler_type": "NORMAL", "name": "a"}, {"scheduler_type": "NORMAL", "name": "a"}]},
        'policies[1].name: got "a", the name of policies[0], wanted a name of its own',
    ),
    # load
    ({"load": {}}, "load: got neither utilization nor request_rate, wanted utilization or request_rate"),
    (load(request_rate=3), "load.request_rate: got both utilization and request_rate"),
    (load(utilization=0), "load.utilization: got 0, wanted a number above 0"),
    (load(utilization=[0.3, -1]), "load.utilization[1]: got -1, wanted a number above 0"),
    (load(utilization=30), "wanted a number of at most 10: it is a fraction of the capacity: 0.3 is 30 %"),
    (load(utilization=[]), "load.utilization: got [], wanted at least 1 value"),
    (load(utilization=[0.5, 0.5]), "load.utilization[1]: got 0.5 a second time"),
    (load(utilization="x"), 'load.utilization: got "x", wanted a list'),
    ({"load": {"request_rate": 0}}, "load.request_rate: got 0, wanted a number above 0"),
    (load(process="poison"), 'load.process: got "poison", wanted one of "poisson"'),
    (load(process="gamma"), "load.burstiness: got nothing, wanted a value"),
    (load(process="gamma", burstiness=0), "load.burstiness: got 0, wanted a number above 0"),
    (load(process="gamma", burstiness="x"), 'load.burstiness: got "x", wanted a number above 0 or "inf"'),
    (load(burstiness=1), "load.burstiness: got an unknown key"),
    (load(burstiness=1), "it is an option of gamma"),
    (load(num_requests=10**9), "load.num_requests: got 1000000000, wanted a number of at most 10000000"),
    (load(num_requests=9, duration_s=1), "load.duration_s: got both num_requests and duration_s"),
    (load(seeds=[]), "load.seeds: got [], wanted at least 1 value"),
    (load(seeds=[1, 2, 1]), "load.seeds[2]: got 1 a second time"),
    (load(seeds=[1, "2"]), 'load.seeds[1]: got "2", wanted a whole number'),
    (load(deadline_ms=0), "load.deadline_ms: got 0, wanted a number above 0"),
    (load(admission="pul"), 'load.admission: got "pul", wanted one of "pull", "push": did you mean'),
    (load(lengths=LENGTHS), "policies[0]: got load.lengths and no lanes, wanted preferred_seq_len"),
    (load(lengths={}), "load.lengths.distribution: got nothing, wanted one of"),
    (shaped(unit="utilization", utilization=0.5), "load.unit: got both utilization and unit"),
    (shaped(states=[0.9, 0.1]), "load.states: got [0.9, 0.1], wanted [low, high]: swap them"),
    (shaped(states=[0, 0]), "load.states: got only zeros"),
    (shaped(states=[0, 1, 2]), "load.states: got [0, 1, 2], wanted at most 2 values"),
    (shaped(dwell_ms=[1]), "load.dwell_ms: got [1], wanted one value more"),
    ({"load": {"process": "step", "steps": [[1, 0]]}}, "load.steps: got only levels of 0"),
    ({"load": {"process": "step", "steps": [[1, 1], [0, 1]]}}, "load.steps[1][0]: got 0, wanted a number above 0"),
    ({"load": {"process": "step", "steps": [5]}}, "load.steps[0]: got 5, wanted a list"),
    ({"load": {"process": "ramp", "from": 0, "to": 0, "over_s": 1}}, "load.to: got a ramp from 0 to 0"),
    ({"load": {"process": "ramp", "to": 1, "over_s": 1}}, "load.from: got nothing"),
    ({"load": {"process": "replay", "file": "gone.csv"}}, 'load.file: got "gone.csv", wanted an existing file'),
]

LENGTH_CASES: list[tuple[dict[str, Any], str]] = [
    ({"distribution": "uniform", "low": 9, "high": 8}, "load.lengths.low: got 9, wanted at most high (8)"),
    ({"distribution": "uniform", "min": 9, "high": 8}, "load.lengths.min: got an unknown key"),
    ({"distribution": "constant", "value": 0}, "load.lengths.value: got 0, wanted a number of at least 1"),
    (
        {"distribution": "lognormal", "median": 9, "sigma": 1, "max": 8},
        "load.lengths.median: got 9, wanted at most max",
    ),
    ({"distribution": "histogram", "weights": {}}, "load.lengths.weights: got {}, wanted at least 1 value"),
    ({"distribution": "histogram", "weights": {"8": 0}}, "load.lengths.weights: got only zeros"),
    ({"distribution": "histogram", "weights": {"08": 1}}, 'load.lengths.weights["08"]: got the key "08"'),
    ({"distribution": "histogram", "weights": {"8": -1}}, 'load.lengths.weights["8"]: got -1'),
    ({"distribution": "unifrom"}, 'did you mean "uniform"?'),
]


@pytest.mark.parametrize(("changes", "text"), CASES)
def test_what_is_impossible_is_refused_in_one_line(changes: dict[str, Any], text: str) -> None:
    assert text in problem(**changes)


@pytest.mark.parametrize(("lengths", "text"), LENGTH_CASES)
def test_impossible_lengths_are_refused(lengths: dict[str, Any], text: str) -> None:
    assert text in problem(**load(lengths=lengths), **policy("NORMAL", preferred_seq_len=[128]))


def test_a_root_that_is_no_object_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"x\.json:2: got \[1\], wanted an object"):
        build(parse_document(b"\n[1]", "x.json"), Path())


def test_all_problems_are_in_one_error_in_the_order_of_the_file() -> None:
    text = b"""{
      "name": "x",
      "model": { "network": "tiny_resnet" },
      "modle": {},
      "policies": [
        { "scheduler_type": "NORMAL",
          "max_batchsize": 8 },
        { "scheduler_type": "LOAD_DVA",
          "max_allow_merge_stage": 9 }, // impossible only beside slicing.stages
      ],
      "load": { "utilization": [0.3,
                                -1], "num_requests": "many" },
      "slo": {},
    }"""
    with pytest.raises(ConfigError) as caught:
        build(parse_document(text, "x.json"), Path())
    assert [(each.source, each.path) for each in caught.value.problems] == [
        ("x.json:4", "modle"),
        ("x.json:7", "policies[0].max_batchsize"),
        ("x.json:9", "policies[1].max_allow_merge_stage"),
        ("x.json:12", "load.num_requests"),
        ("x.json:12", "load.utilization[1]"),
        ("x.json:13", "slo.response_ms"),
    ]
    assert str(caught.value).count("\n") == 5


def test_huge_values_are_cut_in_messages() -> None:
    assert len(problem(name="x" * 100_000)) < 300


def test_resolved_values_make_the_same_config() -> None:
    once = config(**load(process="gamma", burstiness="inf"), **policy("OPERATOR_DVA", favor_per_stage=[4, 8, 8, 4]))
    resolved = json.loads(json.dumps(once.resolved()))
    assert config_of(resolved) == once
    assert config_of(resolved).resolved() == once.resolved()
    assert isinstance(once.policies[0], OperatorDvaOptions)
    assert once.policies[0].favor_per_stage == (4, 8, 8, 4)


def test_quick_makes_it_small() -> None:
    quick = config(
        **load(utilization=[0.1, 0.5, 0.9], seeds=[7, 8], num_requests=5000, max_duration_s=60, warmup_requests=100)
    ).quick()
    assert quick.name == "x_quick"
    assert quick.load.rates_rps(1.0) == (0.1, 0.9)
    assert (quick.load.seeds, quick.load.num_requests, quick.load.max_duration_s) == ((7,), 200, 3)
    assert (quick.load.warmup_requests, quick.checks.sample) == (20, 16)


def test_quick_keeps_what_is_small_already() -> None:
    small = config(
        **load(num_requests=30, max_duration_s=1, warmup_requests=2), checks={"sample": 4}, name="y" * 100
    ).quick()
    assert (small.load.num_requests, small.load.max_duration_s, small.load.warmup_requests) == (30, 1, 2)
    assert (small.checks.sample, small.name) == (4, "y" * 90 + "_quick")


def test_quick_presses_shapes_into_its_time() -> None:
    step = config(load={"process": "step", "steps": [[20, 0.1], [40, 0.9]]}).quick().load
    ramp = config(load={"process": "ramp", "from": 0.1, "to": 0.9, "over_s": 60}).quick().load
    assert isinstance(step, StepLoad)
    assert isinstance(ramp, RampLoad)
    assert [level for _, level in step.steps] == [0.1, 0.9]
    assert sum(seconds for seconds, _ in step.steps) == pytest.approx(3)
    assert ramp.over_s == 3
