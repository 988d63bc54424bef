from __future__ import annotations

import pytest

from dvabatch.reporting.page.cells import (
    change_interval_text,
    change_text,
    flags,
    load_title,
    mean_cell,
    number,
    p_text,
    policy_cell,
    share,
)


def test_numbers_have_four_digits_and_stay_short() -> None:
    assert [number(value) for value in (None, 0, 12.3456, 1234.5, 1e-300)] == ["-", "0", "12.35", "1,234", "1e-300"]
    assert share(0.123456) == "12.3 %"
    assert p_text(0.00001) == "< 0.001"


def test_a_mean_has_its_interval_at_its_digits() -> None:
    assert mean_cell(12.3456, [11.0, 13.98765]) == "12.35 <small>11.00 to 13.99</small>"
    assert mean_cell(12.3456, None) == "12.35"
    assert mean_cell(None, None) == "-"


@pytest.mark.parametrize(
    ("ratio", "interval", "change", "told"),
    [
        (0.88, (0.85, 0.91), "12 % lower", "95 % interval 9.0 % to 15 %"),
        (1.03, (1.01, 1.05), "3.0 % higher", "95 % interval 1.0 % to 5.0 %"),
        (1.0, (0.9, 1.2), "0.0 % lower", "95 % interval from 10 % lower to 20 % higher"),
        (4.2, (3.0, 5.4), "4.2 times as long", "95 % interval 3 to 5.4 times"),
        (0.0, (0.0, 0.0), "100 % lower", "95 % interval 100 % to 100 %"),
    ],
)
def test_a_change_is_told_as_people_say_it(ratio: float, interval: tuple[float, float], change: str, told: str) -> None:
    assert change_text(ratio) == change
    assert change_interval_text(ratio, interval) == told


def test_a_load_and_a_baseline_are_named() -> None:
    load = {"process": "poisson", "request_rate_rps": 120.0, "utilization": 0.5}
    assert load_title(load) == "50 % of the capacity: 120.0 queries/s, poisson"
    assert load_title({**load, "utilization": None}) == "120.0 queries/s, poisson"
    assert policy_cell("NORMAL batch=2 (untuned)", "untuned") == 'NORMAL batch=2 <small class="chip">untuned</small>'
    assert policy_cell("untuned (untuned)", "untuned") == "untuned"
    assert policy_cell("AUTO", "policy") == "AUTO"


def test_flags_say_of_how_many_seeds() -> None:
    assert flags(0, 0, 5) == ""
    assert "INVALID 2/5" in flags(2, 5, 5)
    assert ">saturated<" in flags(2, 5, 5)
