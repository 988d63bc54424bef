"""Configs changed at random: each is a config or a ConfigError, and each config keeps its promises."""

import json
from functools import cache
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from dvabatch_cli.config import Config, ConfigError, config_folders, config_of, load_config
from dvabatch_cli.config.document import parse_document
from dvabatch_cli.config.validate import build

SHAPES: tuple[dict[str, Any], ...] = (
    {"process": "mmpp", "states": [0.1, 0.9], "dwell_ms": [5, 5]},
    {"process": "step", "steps": [[1, 0.5], [2, 0.9]], "num_requests": 50},
    {"process": "ramp", "from": 0.1, "to": 0.9, "over_s": 9},
    {"process": "gamma", "burstiness": 0.5, "request_rate": [3, 4], "duration_s": 3},
    {"utilization": 0.5, "lengths": {"distribution": "histogram", "weights": {"32": 1}}},
)

anything = st.recursive(
    st.none()
    | st.booleans()
    | st.sampled_from([0, 1, 2, -1, 0.5, 10**30, 1e300, "", "inf", "table", "NORMAL", "onnx", "mmpp", "x.json"])
    | st.integers()
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@cache
def folder_and_bases() -> tuple[Any, list[str]]:
    folder = config_folders()[-2]
    files = [path for path in sorted(folder.glob("*.json")) if path.stem not in {"claims", "minilm", "fidelity_minilm"}]
    shipped = [load_config(path).resolved() for path in files]  # but claims, which are no config, and a model elsewhere
    lengthy = next(each for each in shipped if each["name"] == "bert_base_table")
    changed = [{**(lengthy if "lengths" in load else shipped[0]), "load": load} for load in SHAPES]
    return folder, [json.dumps(each) for each in (*shipped, *changed)]


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_a_changed_config_is_a_config_or_refused(data: st.DataObject) -> None:
    folder, bases = folder_and_bases()
    raw = json.loads(data.draw(st.sampled_from(bases)))
    for _ in range(data.draw(st.integers(1, 3))):
        change(raw, data)
    try:
        config = config_of(raw, folder=folder)
    except ConfigError as error:
        assert error.problems
        assert all(line.isprintable() for line in str(error).splitlines())
        assert len(str(error).splitlines()) == len(error.problems)
        return
    check_promises(config)


def change(raw: Any, data: st.DataObject) -> None:
    """Set, add or take away one value somewhere in `raw`."""
    while True:
        keys = list(raw) if isinstance(raw, dict) else list(range(len(raw)))
        key = data.draw(st.sampled_from(keys)) if keys else None
        if key is not None and isinstance(raw[key], (dict, list)) and data.draw(st.booleans()):
            raw = raw[key]
            continue
        if isinstance(raw, list):
            raw.insert(0 if key is None else key, data.draw(anything))
            return
        action = data.draw(st.sampled_from(["set", "add", "remove"]))
        if action == "add" or key is None:
            raw[data.draw(st.text(max_size=5))] = data.draw(anything)
        elif action == "set":
            raw[key] = data.draw(anything)
        else:
            del raw[key]
        return


def check_promises(config: Config) -> None:
    assert config_of(json.loads(json.dumps(config.resolved())), folder=config.folder) == config
    quick = config.quick()
    assert len(quick.load.rates_rps(1.0)) <= 2
    assert len(quick.load.seeds) == 1
    assert quick.load.num_requests is not None
    assert quick.load.num_requests <= 200
    assert quick.policies == config.policies
    for policy in config.policies:
        assert policy.max_batch_size <= config.engine.max_batch


@given(anything)
def test_any_root_is_refused(raw: Any) -> None:
    document = parse_document(json.dumps(raw).encode(), "x.json")
    try:
        build(document, config_folders()[-2])
    except ConfigError:
        return
    raise AssertionError(f"{raw} became a config")
