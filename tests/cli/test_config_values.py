"""What a config may hold, and what its sections make of it."""

import json
import math
from pathlib import Path

import pytest
from pydantic import ValidationError

from dvabatch_cli.config import config_of
from dvabatch_cli.config.engine import EngineSection
from dvabatch_cli.config.lengths import HistogramLengths
from dvabatch_cli.config.load import GammaLoad, MmppLoad, PoissonLoad, RampLoad, ReplayLoad, StepLoad
from dvabatch_cli.config.model import NetworkModel
from dvabatch_cli.config.policies import EntryOptions, LoadDvaOptions, OperatorDvaOptions
from tests.cli.short_config import LENGTHS, config, load, policy, raw_config, shaped


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
    assert (short.checks.sample, short.checks.tolerance, short.slo) == (64, None, None)


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


def test_resolved_values_make_the_same_config() -> None:
    once = config(**load(process="gamma", burstiness="inf"), **policy("OPERATOR_DVA", favor_per_stage=[4, 8, 8, 4]))
    resolved = json.loads(json.dumps(once.resolved()))
    assert config_of(resolved) == once
    assert config_of(resolved).resolved() == once.resolved()
    assert isinstance(once.policies[0], OperatorDvaOptions)
    assert once.policies[0].favor_per_stage == (4, 8, 8, 4)
