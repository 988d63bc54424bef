"""Values set from the command line."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvabatch_cli.config import Config, ConfigError, config_of, load_config
from dvabatch_cli.config.document import Document
from dvabatch_cli.config.paths import render, split_assignment
from dvabatch_cli.overrides import Override, apply_overrides, set_over, typed


def raw_of(*assignments: str, **raw: Any) -> Any:
    return apply_overrides(Document("x", raw, None), assignments).raw


def resnet(*assignments: str) -> Config:
    return load_config("resnet_152_04", assignments)


def message(*assignments: str) -> str:
    with pytest.raises(ConfigError) as caught:
        resnet(*assignments)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("200", 200),
        ("0.5", 0.5),
        ("[0.1, 0.2,]", [0.1, 0.2]),
        ('{ "a": 1 /* one */ }', {"a": 1}),
        ("true", True),
        ('"8"', "8"),
        ("table", "table"),
        ("", ""),
        ("a=b", "a=b"),
        ("[1, 2", "[1, 2"),
        ("inf", "inf"),
    ],
)
def test_a_value_is_json_or_text(text: str, value: object) -> None:
    assert raw_of(f"a={text}") == {"a": value}


@pytest.mark.parametrize("path", ["policies.1.name", "policies[1].name", 'policies[1]["name"]'])
def test_steps_stand_behind_dots_or_in_brackets(path: str) -> None:
    assert raw_of(f"{path}=x", policies=[{}, {"name": "y"}]) == {"policies": [{}, {"name": "x"}]}


def test_digits_are_a_name_in_an_object() -> None:
    assert raw_of("weights.32=1", weights={"32": 2}) == {"weights": {"32": 1}}


def test_sections_that_are_missing_are_made() -> None:
    assert raw_of("slo.response_ms=5", 'inputs["a.b"].pad=1') == {
        "slo": {"response_ms": 5},
        "inputs": {"a.b": {"pad": 1}},
    }


def test_a_later_one_wins() -> None:
    assert raw_of("a.b=1", "a.b=2") == {"a": {"b": 2}}
    assert raw_of("a.b=1", 'a={"c": 3}') == {"a": {"c": 3}}


def test_null_takes_a_value_away() -> None:
    assert raw_of("load.seeds=null", load={"seeds": [1], "process": "poisson"}) == {"load": {"process": "poisson"}}
    assert resnet("engine.max_batch=null").engine.max_batch == 32
    assert "load.sedes: got an unknown key" in message("load.sedes=null")


def test_the_document_stays_as_it_was() -> None:
    raw = {"a": [{"b": 1}]}
    apply_overrides(Document("x", raw, None), ["a.0.b=2"])
    assert raw == {"a": [{"b": 1}]}


def test_a_config_takes_them() -> None:
    changed = resnet("load.request_rate=200", "policies.0.max_batch_size=8", "engine.backend=onnxruntime")
    assert changed.load.rates_rps(1.0) == (200.0,)
    assert (changed.policies[0].max_batch_size, changed.engine.backend) == (8, "onnxruntime")


def test_one_option_takes_the_place_of_another() -> None:
    timed = resnet("load.duration_s=5").load
    assert (timed.num_requests, timed.duration_s) == (None, 5)
    assert resnet("policies.2.max_queue_delay_microseconds=7").policies[2].max_queue_delay_of_whole is None
    bursty = resnet("load.process=mmpp", "load.states=[0.1,0.9]", "load.dwell_ms=[5,5]", "load.unit=utilization")
    assert bursty.load.rates_rps(1.0) == ()
    shorter = resnet("model.network=tiny_resnet", "model.input=[3,32,32]").model
    assert shorter is not None


def test_two_that_exclude_each_other_are_refused() -> None:
    assert "got both utilization and request_rate" in message("load.request_rate=3", "load.utilization=0.5")


@pytest.mark.parametrize(
    ("assignment", "text"),
    [
        ("load.requestrate=3", "--set load.requestrate=3: load.requestrate: got an unknown key"),
        ("load.requestrate=3", 'did you mean "request_rate"?'),
        ("polices.0.max_batch_size=8", "--set polices.0.max_batch_size=8: polices: got an unknown key"),
        ("polices.0.max_batch_size=8", 'did you mean "policies"?'),
        (
            "policies.4.instances=1",
            '--set policies.4.instances=1: policies: got the index "4", wanted an index from 0 to 3',
        ),
        ("policies.x.instances=1", 'policies: got the index "x", wanted an index from 0 to 3'),
        (
            "policies.0.instances=x",
            '--set policies.0.instances=x: policies[0].instances: got "x", wanted a whole number',
        ),
        ("name.x=1", 'name: got the name "x" inside of "resnet_152_04", wanted an object or a list: set name itself'),
        ("engine.max_batch=NaN", "--set engine.max_batch=NaN: engine.max_batch: got NaN, wanted a finite number"),
        ('slo={"a":1,"a":2}', "slo: got the key a second time"),
        ("slo.quantile=0.5", "--set slo.quantile=0.5: slo.response_ms: got nothing, wanted a value"),
        ("name=../x", '--set name=../x: name: got "../x"'),
        ("a", "--set a: got no path and value, wanted PATH=VALUE"),
        ("=1", "--set =1: got no path and value"),
        ("a..b=1", "--set a..b=1: got no path and value"),
        ("a\n=1", "--set 'a\\n=1': got no path and value"),
        ("name=\udc80", "name: got '\\udc80', wanted text in UTF-8"),
        ("name=" + "[" * 100_000, "got nesting without end"),
    ],
)
def test_what_cannot_be_set_is_refused_with_the_option(assignment: str, text: str) -> None:
    assert text in message(assignment)


def test_all_are_refused_at_once() -> None:
    assert len(message("a", "policies.9.x=1", "name.x=1").splitlines()) == 3


def test_who_may_not_be_overruled_is_told_by_its_kind_and_not_by_its_words() -> None:
    """An option of its own contradicts a --set, whatever it is called; one --set wins over another."""
    own = Override("--set out of words", "a=2")
    with pytest.raises(ConfigError, match="both --set a=1 and --set out of words, wanted only one of them"):
        apply_overrides(Document("x", {}, None), ["a=1", own])
    assert raw_of("a=1", "a=2") == {"a": 2}


def test_a_command_line_carries_all_that_was_set() -> None:
    own = Override("--burstiness 0.5", "load.process=gamma"), Override("--burstiness 0.5", "load.burstiness=0.5")
    said = typed("dvabatch bench", "my config.json", ["a=1", "a=2", 'b=["x"]', *own, "a=1"])
    assert said == "dvabatch bench 'my config.json' --set a=1 --set a=2 --set 'b=[\"x\"]' --burstiness 0.5 --set a=1"


def test_what_is_set_over_others_leaves_out_whose_place_it_takes() -> None:
    before = ["load.utilization=0.5", "load.unit=request_rate", "load.seeds=[1]", "a", "load.request_rate=7"]
    own = Override("--duration 3", "load.duration_s=3")
    assert set_over([*before, own], "load.request_rate=9") == ["load.seeds=[1]", "a", own, "load.request_rate=9"]
    assert set_over([own, "load.seeds=[1]"], "load.num_requests=9") == ["load.seeds=[1]", "load.num_requests=9"]


steps = st.lists(st.text(min_size=1, max_size=4) | st.integers(0, 999), min_size=1, max_size=4)


@given(steps, st.text(max_size=5))
def test_a_rendered_path_is_read_back(path: list[str | int], value: str) -> None:
    if isinstance(path[0], int) or not path[0].isascii() or not path[0].isalpha():
        path = ["a", *path]
    assert split_assignment(f"{render(tuple(path))}={value}") == (tuple(map(str, path)), value)


@given(st.text(max_size=20), st.text(alphabet='abc.=[]"\\0', max_size=12))
def test_any_text_is_set_or_refused(tail: str, head: str) -> None:
    raw = {"name": "x", "policies": [{"scheduler_type": "NORMAL"}], "load": {"utilization": 0.5}, "a": [{"b": 1}]}
    with pytest.raises(ConfigError):  # without a model it is none, whatever is set
        config_of(raw, overrides=[head + tail])
