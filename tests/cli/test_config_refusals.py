"""What a config may not hold, and what is said about it."""

from pathlib import Path
from typing import Any

import pytest

from dvabatch_cli.config import ConfigError
from dvabatch_cli.config.document import parse_document
from dvabatch_cli.config.validate import build
from tests.cli.short_config import LENGTHS, fault, load, policy, problem, problems, shaped

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
    # faults
    ({"faults": [{}]}, 'faults[0].kind: got nothing, wanted one of "slow", "fail", "hang", "cancel"'),
    ({"faults": {}}, "faults: got {}, wanted a list"),
    ({"faults": [{"kind": "slwo"}]}, 'faults[0].kind: got "slwo", wanted one of'),
    (fault("slow", stage=4, factor=2), "faults[0].stage: got 4, wanted at most slicing.stages - 1 (3)"),
    (fault("slow", stage=0, factor=0.5), "faults[0].factor: got 0.5, wanted a number of at least 1"),
    (fault("slow", stage=0, factor=2, from_s=2, until_s=1), "faults[0].until_s: got 1.0, wanted more than from_s (2)"),
    (fault("fail", stage=0), "faults[0]: got neither rate nor launch, wanted rate or launch"),
    (fault("hang", stage=0, rate=0.1, launch=2), "faults[0].launch: got both rate and launch"),
    (fault("fail", stage=9, rate=0.1), "faults[0].stage: got 9, wanted at most slicing.stages - 1 (3)"),
    (fault("cancel", rate=2, after_ms=1), "faults[0].rate: got 2, wanted a number of at most 1"),
    (fault("cancel", rate=0.1), "faults[0].after_ms: got nothing, wanted a value: it is required"),
    (fault("cancel", rate=0.1, after_ms=1, at_s=1), "it is an option of device_lost"),
    (fault("device_lost", at_s=-1), "faults[0].at_s: got -1, wanted a number of at least 0"),
    (
        {**fault("device_lost", at_s=1), "checks": {}},
        "checks.error_limit: got 0, wanted the share of the queries that may fail in a valid run, above 0: faults of the "
        "kind device_lost make queries fail",
    ),
    ({"checks": {"error_limit": 2}}, "checks.error_limit: got 2, wanted a number of at most 1"),
    (policy("NORMAL", drop_late=True), "policies[0].drop_late: got drop_late for queries without a deadline"),
    ({"engine": {"launch_timeout_ms": 0}}, "engine.launch_timeout_ms: got 0, wanted a number above 0"),
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
    ({"engine": {"small_batch": 4, "max_batch": 4}}, "engine.small_batch: got 4, wanted less than engine.max_batch, 4"),
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
    (
        policy("AUTO", settings=[{"up_to": 1, "max_batch_size": 64}]),
        "settings[0].max_batch_size: got 64, wanted at most engine.max_batch (32)",
    ),
    (
        policy("AUTO", settings=[{"up_to": 1, "max_batch_size": 8}, {"up_to": 2, "max_batch_size": 8, "instances": 5}]),
        "settings[1].instances: got 5, wanted at most engine.executors_per_stage (4)",
    ),
    (
        policy("AUTO", settings=[{"up_to": 1, "max_batch_size": 8, "instances": 4, "ahead": True}]),
        "settings[0].instances: got 4 with ahead, wanted 1",
    ),
    (
        policy("AUTO", settings=[{"up_to": 1, "max_batch_size": 8, "ahead": True, "catching_up": True}]),
        "settings[0].ahead: got true with catching_up, wanted one of them",
    ),
    (
        policy("AUTO", settings=[{"up_to": 1, "max_batch_size": 8, "ahead": True, "in_room": True}]),
        "settings[0].ahead: got true with in_room, wanted one of them",
    ),
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


def test_one_fault_may_have_several_problems_and_all_are_told() -> None:
    broken = [{"kind": "slow", "stage": -1, "factor": 0}, {"kind": "hang", "stage": 0}]
    told = problems(faults=broken, checks={"error_limit": 0.5})
    assert sorted(line.split(": ")[1] for line in told) == ["faults[0].factor", "faults[0].stage", "faults[1]"]


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


@pytest.mark.parametrize("option", ["instances", "max_queue_delay_microseconds", "max_queue_delay_of_whole"])
def test_a_policy_that_enters_at_once_refuses_options_of_waiting(option: str) -> None:
    assert "it is an option of NORMAL" in problem(**policy("LOAD_DVA", **{option: 1}))


def test_policies_of_one_config_share_their_lanes() -> None:
    text = problem(
        **load(lengths=LENGTHS),
        policies=[
            {"scheduler_type": "INPUT_DVA", "preferred_seq_len": [32, 128]},
            {"scheduler_type": "NORMAL_INPUT", "preferred_seq_len": [64]},
        ],
    )
    assert "policies[1].preferred_seq_len: got [64], wanted the lengths of policies[0], [32, 128], or none" in text
