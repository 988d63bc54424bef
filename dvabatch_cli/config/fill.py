"""Defaults that depend on other values, filled into a raw document before it is validated.

So every field of a validated config holds the value that will be used. What is malformed stays as it is: validation
comes next, and names it.
"""

from collections import Counter
from typing import Any

from dvabatch.models.registry import registry
from dvabatch_cli.config.engine import AUTO, DEFAULT_MAX_BATCH, DEFAULT_STAGES
from dvabatch_cli.config.policies import usual_merge_stage
from dvabatch_cli.config.section import MAX_ROWS

_DEFAULT_REQUESTS = 2000
_SHAPED = ("mmpp", "step", "ramp")
_MERGING = ("LOAD_DVA", "HYBRID_DVA")


def frozen(value: Any) -> Any:
    """`value` with tuples for lists, all the way down."""
    if isinstance(value, (list, tuple)):
        return tuple(frozen(item) for item in value)
    if isinstance(value, dict):
        return {name: frozen(item) for name, item in value.items()}
    return value


def filled(raw: Any) -> Any:
    """The raw document `raw`, lists frozen to tuples, with all defaults that depend on other values."""
    raw = frozen(raw)
    if not isinstance(raw, dict):
        return raw
    filled = dict(raw)
    for name, fill in (("model", _model), ("policies", _policies), ("load", _load)):
        if name in raw:
            filled[name] = fill(raw[name], raw)
    return filled


def _model(model: Any, _: dict[str, Any]) -> Any:
    if isinstance(model, dict) and model.get("input") is None and "onnx" not in model:
        network = model.get("network")
        if isinstance(network, str) and network in registry:
            return {**model, "input": registry[network].input_shape}
    return model


def _load(load: Any, _: dict[str, Any]) -> Any:
    if not isinstance(load, dict):
        return load
    load = {"process": "poisson", **load}
    if load.get("num_requests") is None and load.get("duration_s") is None:
        load |= _end(load)
    if load["process"] in _SHAPED and load.get("utilization") is None and load.get("request_rate") is None:
        _default(load, "unit", "utilization")
    return load


def _end(load: dict[str, Any]) -> dict[str, Any]:
    """Where a load ends that does not say so."""
    match load["process"]:
        case "replay":
            return {}
        case "ramp":
            return {"duration_s": load["over_s"]} if _is_time(load.get("over_s")) else {}
        case "step":
            return _steps_end(load.get("steps"))
        case _:
            return {"num_requests": _DEFAULT_REQUESTS}


def _steps_end(steps: Any) -> dict[str, Any]:
    """The sum of the steps' seconds, where all steps are well formed; if not, validation speaks of them."""
    rows = steps if isinstance(steps, tuple) else ()
    seconds = [row[0] for row in rows if isinstance(row, tuple) and row and _is_time(row[0])]
    return {"duration_s": sum(seconds)} if seconds and len(seconds) == len(rows) else {}


def _policies(policies: Any, raw: dict[str, Any]) -> Any:
    if not isinstance(policies, tuple):
        return policies
    max_batch = _whole(raw, "engine", "max_batch", DEFAULT_MAX_BATCH)
    stages = _stages(raw)
    lanes = _lanes(policies)
    names = _names(policies)
    executors = min(_whole(raw, "engine", "executors_per_stage", 4), _whole(raw, "engine", "buffer_set_size", 8))
    return tuple(
        _policy(policy, name, max_batch, stages, lanes, executors) if isinstance(policy, dict) else policy
        for policy, name in zip(policies, names, strict=True)
    )


def _policy(
    policy: dict[str, Any], name: str | None, max_batch: int, stages: int | None, lanes: Any, executors: int
) -> dict[str, Any]:
    full = dict(policy)
    if policy.get("scheduler_type") == "INPUT_DVA":
        _default(full, "instances", executors)  # short batches can only leave early beside long ones
    if name is not None:
        _default(full, "name", name)
    _default(full, "max_batch_size", max_batch)
    if policy.get("scheduler_type") not in (*_MERGING, "AUTO") and full.get("max_queue_delay_of_whole") is None:
        _default(full, "max_queue_delay_microseconds", 0)
    _default(full, "preferred_seq_len", lanes)
    if policy.get("scheduler_type") in _MERGING:
        if stages is not None:
            _default(full, "max_allow_merge_stage", usual_merge_stage(stages))
        _default(full, "max_allow_merge_batchsize", full["max_batch_size"])
    return full


def _default(options: dict[str, Any], name: str, value: Any) -> None:
    if options.get(name) is None:
        options[name] = value


def _names(policies: tuple[Any, ...]) -> list[str | None]:
    """A name for each policy: its type, numbered from 1 where several without a name share it."""
    types = [
        policy.get("scheduler_type") if isinstance(policy, dict) and policy.get("name") is None else None
        for policy in policies
    ]
    types = [kind if isinstance(kind, str) else None for kind in types]
    total, seen = Counter(types), Counter[str]()
    names: list[str | None] = []
    for kind in types:
        if kind is not None:
            seen[kind] += 1
        names.append(kind if kind is None or total[kind] == 1 else f"{kind} {seen[kind]}")
    return names


def _lanes(policies: tuple[Any, ...]) -> tuple[int, ...] | None:
    """The lengths that a policy names: one that names none gets them too, so that all meet the same lanes."""
    for policy in policies:
        lengths = policy.get("preferred_seq_len") if isinstance(policy, dict) else None
        if isinstance(lengths, tuple) and all(type(length) is int for length in lengths):
            return tuple(sorted(lengths))
    return None


def _stages(raw: dict[str, Any]) -> int | None:
    """None where the slicer is to choose their number."""
    slicing = raw.get("slicing")
    auto = isinstance(slicing, dict) and slicing.get("stages") == AUTO
    return None if auto else _whole(raw, "slicing", "stages", DEFAULT_STAGES)


def _whole(raw: dict[str, Any], section: str, name: str, default: int) -> int:
    """A whole number of the raw document, or its default where what stands there is none."""
    options = raw.get(section)
    value = options.get(name) if isinstance(options, dict) else None
    return value if type(value) is int and 0 < value <= MAX_ROWS else default


def _is_time(value: Any) -> bool:
    return type(value) in (int, float) and value > 0
