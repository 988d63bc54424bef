from __future__ import annotations

from typing import Any

from dvabatch.reporting.surroundings import differences


def report(**changes: Any) -> dict[str, Any]:
    environment = {
        "cpu": "x",
        "cores": 2,
        "packages": {"numpy": "2.0", "onnx": "1.17"},
        "gpu": {"name": "g", "temperature_c": 40},
    }
    return {
        "environment": environment, "engine": {"backend": "table"}, "model": {"stages": [{"sha256": "a"}]},
        "config": {"engine": {"threads": 1}, "load": {"admission": "pull", "seeds": [1]}},
        "profile": {"capacity_rps": 100.0}, "runs": [{"admission": "pull"}], **changes,
    }  # fmt: skip


def told(old: dict[str, Any], new: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(each.name, each.old, each.new) for each in differences(old, new)]


def test_nothing_differs() -> None:
    assert told(report(), report()) == []


def test_each_fact_on_its_own() -> None:
    environment = {"cpu": "y", "cores": 2, "packages": {"numpy": "2.1"}, "gpu": None}
    assert told(report(), report(environment=environment)) == [
        ("environment.cpu", "x", "y"),
        ("environment.packages.numpy", "2.0", "2.1"),
        ("environment.packages.onnx", "1.17", "not known"),
        ("environment.gpu.name", "g", "not known"),
    ]


def test_what_is_measured_each_time_is_no_difference() -> None:
    warmer = report()["environment"] | {"gpu": {"name": "g", "temperature_c": 70}, "pacing": {"p99_us": 3}}
    assert told(report(), report(environment=warmer)) == []


def test_model_load_and_time() -> None:
    other = report(
        model={"stages": [{"sha256": "b"}]},
        runs=[{"admission": "simulated"}],
        config={"engine": {"threads": 1}, "load": {"admission": "push", "seeds": [2]}},
    )
    assert told(report(), other) == [
        ("time", "real", "simulated"),
        ("model.stages", "['a']", "['b']"),
        ("config.load.admission", "pull", "push"),
    ]


def test_reports_that_say_little_or_nonsense() -> None:
    assert told({"runs": []}, {"runs": []}) == []
    odd = report(environment=3, model=[1], config={"engine": "x" * 100, "load": None})
    assert ("environment.cpu", "x", "not known") in told(report(), odd)
    assert all(len(text) <= 60 for each in told(report(), odd) for text in each)
