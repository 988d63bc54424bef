"""What `doctor` makes of the facts of a host."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError
from types import SimpleNamespace
from typing import Any

import pytest

from dvabatch_cli.environment import environment, packages
from tests.cli.command import dvabatch

QUIET = {
    "cores": 4, "cpu_quota_cores": None, "real_time_priority": True, "timer_slack_ns": 50_000,
    "frequency_governor": "performance", "steal_share": 0.0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "what", "found"),
    [
        ({"cores": 1}, "cores", "1"),
        ({"cpu_quota_cores": 1.5}, "processor quota", "1.5 cores"),
        ({"real_time_priority": False}, "real-time priority", "not permitted"),
        ({"timer_slack_ns": 1_000_000}, "timer slack", "1000 us"),
        ({"frequency_governor": "powersave"}, "clock governor", "powersave"),
        ({"steal_share": 0.125}, "stolen time", "12.5%"),
    ],
)
def test_what_makes_a_host_late_is_said_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], what: str, found: str
) -> None:
    assert findings(monkeypatch, QUIET)[what]["fine"]
    finding = findings(monkeypatch, {**QUIET, **change})[what]
    assert (str(finding["found"]), finding["fine"], finding["needed"]) == (found, False, False)
    assert finding["follows"]


def test_what_cannot_be_learnt_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = {**dict.fromkeys(QUIET), "cores": 4}
    told = findings(monkeypatch, unknown)
    assert told["processor quota"]["found"] == "none"
    for what in ("real-time priority", "timer slack"):
        assert (told[what]["found"], told[what]["fine"]) == ("unknown", True)
    assert not {"clock governor", "stolen time"} & set(told)


def findings(monkeypatch: pytest.MonkeyPatch, facts: dict[str, Any]) -> dict[str, dict[str, Any]]:
    monkeypatch.setattr("dvabatch_cli.doctor.environment", lambda **_: {**environment(), **facts})
    document = dvabatch("doctor", "--no-pacing", "--json").document()
    return {each["what"]: each for each in document["findings"]}


def test_a_package_that_was_loaded_but_never_installed_says_its_own_version(monkeypatch: pytest.MonkeyPatch) -> None:
    def installed(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("dvabatch_cli.environment.version", installed)
    monkeypatch.setitem(sys.modules, "tensorrt", SimpleNamespace(__version__="8.6.0"))
    assert packages()["tensorrt"] == "8.6.0"
    monkeypatch.delitem(sys.modules, "tensorrt")
    assert packages()["tensorrt"] is None
