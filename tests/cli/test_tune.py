"""`tune` and AUTO: options found in simulation are kept, are within the limits, and serve."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Machine
from dvabatch.batching.profile import Profile
from dvabatch.loadgen import Schedule
from dvabatch.loadgen.processes import Poisson
from dvabatch_cli import baselines, halving, tuning
from dvabatch_cli.config import load_config
from dvabatch_cli.config.policies import AnyPolicy, AutoOptions, AutoSetting, LoadDvaOptions, NormalOptions
from dvabatch_cli.grids import grid_of
from dvabatch_cli.halving import Map, Round, Search, pool
from dvabatch_cli.wiring import load_points
from tests.cli.command import LOAD, NORMAL, TABLE, dvabatch, model_config, report_of, table_config

AUTO = {"scheduler_type": "AUTO"}
SETTING = {"up_to": 0.5, "max_batch_size": 2}
SHORT = (Round(1_000, 60), Round(3, 200))
LITTLE = tuning.Effort((0.2, 0.8), SHORT, "", "no time to speak of")
LIMITS = Limits(2, 8, 4, 2)


def one_by_one(act: object, trials: object) -> object:
    return map(act, trials)  # type: ignore[call-overload]


def tuned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tuning that takes no time to speak of, in this process."""
    monkeypatch.setattr(tuning, "pool", lambda: nullcontext(one_by_one))
    monkeypatch.setattr("dvabatch_cli.tune.pool", lambda: nullcontext(one_by_one))
    monkeypatch.setattr(tuning, "FULL", LITTLE)
    monkeypatch.setattr(tuning, "QUICK", replace(LITTLE, utilizations=(0.5,), mark="_quick"))


def test_settings_rise_and_stay_within_the_limits() -> None:
    profile = Profile.from_table(TABLE)
    across: Map = one_by_one  # type: ignore[assignment]
    effort = replace(LITTLE, utilizations=(0.1, 0.5, 0.9))
    found = tuning.tune_auto(profile, LIMITS, 4, 2.0, across, lambda _: None, effort)
    bounds = [setting.up_to for setting in found]
    assert bounds == sorted(set(bounds))
    assert bounds[-1] > 100
    assert all(setting.max_batch_size <= 4 and setting.instances <= 2 for setting in found)


@pytest.mark.parametrize(
    ("costs", "executors", "ahead"),
    [({}, 2, False), ({"launch_us": 5}, 2, True), ({"transfer_us_per_row": 1}, 2, True), ({"launch_us": 5}, 1, False)],
)
def test_a_batch_ahead_is_tried_where_it_takes_time_to_get_there(
    costs: dict[str, float], executors: int, ahead: bool
) -> None:
    profile = Profile.from_table({**TABLE, **costs})
    tried = list(tuning._candidates(profile, Limits(2, 8, 4, executors), 4))
    assert any(setting.ahead for setting in tried) is ahead
    assert {setting.instances for setting in tried if setting.ahead} <= {1}


@pytest.mark.parametrize(("plain_ms", "worth"), [(1.004, False), (1.02, True)])
def test_a_batch_ahead_has_to_be_worth_it_however_many_of_them_are_alike(
    plain_ms: float, worth: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ranked(self: object, candidates: list[AutoOptions], *_: object) -> list[tuple[float, AutoOptions]]:
        of = [(1.0 if tuning._setting_of(each).ahead else plain_ms, each) for each in candidates]
        return sorted(of, key=lambda each: each[0])[:4]

    monkeypatch.setattr("dvabatch_cli.tuning.Search.ranked", ranked)
    profile = Profile.from_table({**TABLE, "launch_us": 5})
    across: Map = one_by_one  # type: ignore[assignment]
    found = tuning.tune_auto(profile, LIMITS, 4, 2.0, across, lambda _: None, LITTLE)
    assert {setting.ahead for setting in found} == {worth}


def test_neighbours_that_do_the_same_are_one() -> None:
    one, other = AutoSetting(up_to=0.1, max_batch_size=2), AutoSetting(up_to=0.3, max_batch_size=4)
    doubled = [one, one.model_copy(update={"up_to": 0.2}), other]
    assert list(tuning._joined(doubled)) == [doubled[1], other]


def test_auto_is_tuned_once_and_kept(tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tuned(monkeypatch)
    config = table_config(tmp_path, policies=[NORMAL, AUTO], load={**_LOAD, "num_requests": 200})
    first = dvabatch("simulate", config, "-o", tmp_path / "one")
    again = dvabatch("simulate", config, "-o", tmp_path / "other")
    assert (first.code, again.code) == (0, 0)
    assert "tuning AUTO" in first.err
    assert "tuning AUTO" not in again.err
    (kept,) = (own_cache / "tuned").iterdir()
    auto = report_of(tmp_path / "one")["runs"][1]
    assert auto["policy"]["settings"] == json.loads(kept.read_text())
    assert auto["counts"]["completed"] == 200
    assert (tmp_path / "one" / "report.json").read_bytes() == (tmp_path / "other" / "report.json").read_bytes()

    kept.write_text("[{}]")
    third = dvabatch("simulate", config, "-o", tmp_path / "third")
    assert third.code == 0
    assert "is damaged" in third.err


def test_what_a_quick_run_tunes_never_passes_for_the_rest(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuned(monkeypatch)
    config = table_config(tmp_path, policies=[AUTO], load=_LOAD)
    for words, loads, kept in ((["--quick"], "1 loads", 1), ([], "2 loads", 2)):
        done = dvabatch("simulate", config, "-o", tmp_path / "out", *words)
        assert done.code == 0
        assert f"at {loads}, simulated" in done.err
        assert len(list((own_cache / "tuned").iterdir())) == kept
    full, quick = sorted((own_cache / "tuned").iterdir(), key=lambda file: len(file.name))
    assert quick.name == f"{full.stem}_quick.json"
    again = dvabatch("tune", config, "--quick", "--json")
    assert again.code == 0
    assert again.document()["tuned"][0]["options"]["settings"] == json.loads(quick.read_text())
    assert len(list((own_cache / "tuned").iterdir())) == 2


def test_quick_tuning_is_a_small_part_of_the_full() -> None:
    queries = [
        len(effort.utilizations) * sum(min(turn.settings, 80) * turn.queries for turn in effort.rounds)
        for effort in (tuning.QUICK, tuning.FULL)
    ]
    assert queries[0] < queries[1] / 20


def test_a_dry_run_says_that_auto_would_be_tuned(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuned(monkeypatch)
    config = table_config(tmp_path, policies=[NORMAL, AUTO, {**AUTO, "name": "other"}], load=_LOAD)
    told = "AUTO's settings, tuned in simulation (no time to speak of)"

    def missing(*words: object) -> object:
        return dvabatch("simulate", config, "-o", tmp_path / "out", "--dry-run", "--json", *words).document()["missing"]

    assert missing() == missing("--quick") == [told]
    assert f"would be made first: {told}" in dvabatch("simulate", config, "--dry-run").err
    assert not own_cache.exists()
    assert dvabatch("simulate", config, "-o", tmp_path / "out").code == 0
    assert (missing(), missing("--quick")) == ([], [told])
    assert missing("--set", "engine.executors_per_stage=1") == [told]  # settings of other limits are others
    (kept,) = (own_cache / "tuned").iterdir()
    kept.write_text("[{}]")
    assert missing() == [told]
    given = json.dumps([NORMAL, {**AUTO, "settings": [SETTING]}])
    assert missing("--set", f"policies={given}") == []


def test_without_a_profile_auto_would_be_tuned_for_sure(tmp_path: Path, own_cache: Path) -> None:
    config = model_config(tmp_path, policies=[AUTO])
    plan = dvabatch("bench", config, "-o", tmp_path / "out", "--dry-run", "--json").document()
    assert plan["missing"][-2:] == ["their profile", "AUTO's settings, tuned in simulation (about a minute)"]
    loaded = load_config(str(config))
    assert tuning.missing_of(loaded, lambda _: None, tuning.QUICK, profiled=True) == [
        "AUTO's settings (if not kept), tuned in simulation (seconds)"
    ]


def test_given_settings_are_not_tuned(tmp_path: Path, own_cache: Path) -> None:
    config = table_config(tmp_path, policies=[{**AUTO, "settings": [SETTING]}], load=_LOAD)
    done = dvabatch("simulate", config, "-o", tmp_path / "out")
    assert done.code == 0
    assert "tuning" not in done.err
    assert not (own_cache / "tuned").exists()


_LOAD = {"process": "poisson", "utilization": 0.5, "num_requests": 100}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ([], "one or more, each up to more than the one before"),
        ([SETTING, SETTING], "settings up to [0.5, 0.5]"),
        ([{**SETTING, "up_to": -1}], "policies[0].settings[0].up_to"),
        ([{**SETTING, "instancs": 2}], 'did you mean "instances"?'),
    ],
)
def test_settings_that_make_no_sense_are_refused(tmp_path: Path, settings: object, words: str) -> None:
    done = dvabatch("simulate", table_config(tmp_path, policies=[{**AUTO, "settings": settings}]))
    assert done.code == 2
    assert words in done.err


def test_tune_says_the_best_options_and_what_was_tried(tmp_path: Path, own_cache: Path) -> None:
    config = table_config(tmp_path, policies=[NORMAL, LOAD], load=_LOAD)
    done = dvabatch("tune", config, "--quick", "--json")
    assert done.code == 0
    normal, load = json.loads(done.out)["tuned"]
    assert normal["settings_tried"] == len(grid_of(NormalOptions.model_validate(normal["options"]), _limits(config)))
    assert normal["mean_ms"] <= normal["mean_ms_as_given"]
    assert load["scheduler_type"] == "LOAD_DVA"
    assert set(load["options"]) == set(LoadDvaOptions.model_fields)


def test_the_table_has_what_a_search_may_have_changed(tmp_path: Path, own_cache: Path) -> None:
    policies = [{**NORMAL, "max_queue": 50, "drop_late": True}, LOAD]
    config = table_config(tmp_path, policies=policies, load={**_LOAD, "deadline_ms": 1000})
    done = dvabatch("tune", config, "--quick", "--set", "load.num_requests=50")
    assert done.code == 0
    assert "max_batch_size=" in done.out
    assert "instances=" in done.out
    assert "drop_late" not in done.out
    assert "max_queue=" not in done.out
    assert done.err.splitlines()[-1] == f"Next: dvabatch simulate {config} --set load.num_requests=50"


def test_as_many_are_usual_as_come_while_one_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little's law: utilization x capacity x mean response."""

    class Found:
        def __init__(self, *_: object) -> None:
            pass

        def ranked(self, settings: list[AutoOptions], *_: object) -> list[tuple[float, AutoOptions]]:
            return [(3e6, settings[0])]

    monkeypatch.setattr(tuning, "Search", Found)
    profile = Profile.from_table(TABLE)
    effort = replace(LITTLE, utilizations=(0.5,))
    (setting,) = tuning.tune_auto(profile, LIMITS, 4, 2.0, one_by_one, lambda _: None, effort)  # type: ignore[arg-type]
    assert setting.usual == pytest.approx(0.5 * profile.capacity_rps(LIMITS.max_batch) * 0.003, rel=1e-3)


CLOCKED = {**TABLE, "sm_mhz": {"1": 2000, "8": 1600}}


@pytest.fixture
def searched(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Under which part of the capacity each search simulates."""
    parts: list[float] = []

    def ranked(self: Search, settings: Sequence[AnyPolicy], *_: object) -> list[tuple[float, AnyPolicy]]:
        parts.append(round(self.of_capacity, 6))
        return [(3e6, settings[0])]

    monkeypatch.setattr(Search, "ranked", ranked)
    return parts


def test_auto_is_tuned_under_each_load(searched: list[float]) -> None:
    effort = replace(LITTLE, utilizations=(0.2, 0.9, 1.0))
    tuning.tune_auto(Profile.from_table(CLOCKED), LIMITS, 8, 2.0, one_by_one, lambda _: None, effort)  # type: ignore[arg-type]
    assert sorted(set(searched)) == [0.2, 0.9, 1.0]


@pytest.mark.parametrize("of_rates", [False, True])
def test_ordinary_batching_is_swept_and_policies_are_tuned_under_each_load(
    tmp_path: Path,
    own_cache: Path,
    searched: list[float],
    of_rates: bool,
) -> None:
    capacity_rps = Profile.from_table(CLOCKED).capacity_rps(8)
    rates: dict[str, object] = {"request_rate": [0.2 * capacity_rps, 0.9 * capacity_rps]}
    load = {"process": "poisson", "num_requests": 10, **(rates if of_rates else {"utilization": [0.2, 0.9]})}
    path = table_config(tmp_path, table=CLOCKED, policies=[NORMAL], load=load)
    config, profile = load_config(str(path)), Profile.from_table(CLOCKED)
    for point in load_points(config, capacity_rps):
        baselines.swept(config, profile, point, rounds=SHORT, say=lambda _: None)
    assert searched == [0.2, 0.9]
    searched.clear()
    assert dvabatch("tune", path, "--quick").code == 0
    assert searched == [0.2, 0.2, 0.9, 0.9], "the grid and what is given, at each load"


def test_a_setting_is_tried_by_a_machine_that_knows_the_profile_on_a_device_that_keeps_the_load_s_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried: list[tuple[float, float]] = []

    def mean_ns(machine: Machine, schedule: Schedule, device: Profile) -> float:
        tried.append((machine.profile.stage_ns(0, 1, 0), device.stage_ns(0, 1, 0)))
        return 1.0

    monkeypatch.setattr(halving, "mean_ns", mean_ns)
    profile = Profile.from_table(CLOCKED)
    setting = NormalOptions.model_validate({**NORMAL, "name": "n", "max_batch_size": 8})
    for of_capacity in (1.0, 0.2):
        search = Search(profile, of_capacity, LIMITS, Poisson(100.0), None, 1)
        search.ranked([setting], SHORT[:1], one_by_one, lambda *_: None)  # type: ignore[arg-type]
    assert tried == [(200_000, 250_000), (200_000, 200_000)], "2000 MHz, and 1600 at full load"


def test_a_simulated_run_keeps_the_clock_of_its_load(tmp_path: Path, own_cache: Path) -> None:
    load = {"process": "constant", "utilization": [0.02], "num_requests": 10}
    stages = [{"latency_ms": {"1": 1.0, "8": 2.0}}] * 2
    table = {"name": "small", "stages": stages, "sm_mhz": {"1": 1600, "8": 2000}}
    config = table_config(tmp_path, table=table, policies=[NORMAL], load=load)
    assert dvabatch("simulate", config, "-o", tmp_path / "results").code == 0
    (run,) = report_of(tmp_path / "results")["runs"]
    assert run["response_ms"]["mean"] == pytest.approx(1.6, abs=1e-4)


def _limits(config: Path) -> Limits:
    engine = json.loads(config.read_text())["engine"]
    return Limits(2, engine["max_batch"], engine["buffer_set_size"], engine["executors_per_stage"])


def test_a_grid_keeps_what_it_does_not_name() -> None:
    given = NormalOptions(scheduler_type="NORMAL", name="mine", max_batch_size=3, max_queue=7)
    found = grid_of(given, LIMITS)
    assert {(one.name, one.max_queue) for one in found} == {("mine", 7)}
    assert {one.max_batch_size for one in found} == {1, 2, 4, 8}
    auto = AutoOptions(scheduler_type="AUTO", name="AUTO", max_batch_size=8, settings=(AutoSetting(**SETTING),))
    assert grid_of(auto, LIMITS) == [auto]


def test_a_pool_measures_in_the_order_asked() -> None:
    with pool() as across:
        assert list(across(abs, [-3, 2, -1])) == [3, 2, 1]  # type: ignore[arg-type]
