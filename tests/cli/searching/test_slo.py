"""An objective: a quantile and a time, from the command line or the config."""

from __future__ import annotations

from fractions import Fraction

import pytest

from dvabatch_cli.errors import CommandError, Exit
from dvabatch_cli.searching.slo import Slo, slo_of
from tests.cli.short_config import config


@pytest.mark.parametrize(
    ("text", "share", "bound_ns"),
    [
        ("p99:50ms", Fraction(99, 100), 50_000_000),
        ("p99.9:0.2s", Fraction(999, 1000), 200_000_000),
        ("p50:1.5us", Fraction(1, 2), 1_500),
        ("p5:86400s", Fraction(1, 20), 86_400_000_000_000),
    ],
)
def test_what_is_said_is_exact(text: str, share: Fraction, bound_ns: int) -> None:
    assert slo_of(text, config()) == Slo(share, bound_ns)


def test_it_reads_back_as_it_is_said() -> None:
    assert str(slo_of("p99.9:0.2s", config())) == "p99.9:200ms"
    assert slo_of("p99.9:200ms", config()).quantile == "p99.9"


def test_the_configs_own_is_taken_where_none_is_given() -> None:
    given = config(slo={"response_ms": 0.3, "quantile": 0.95})
    assert slo_of(None, given) == Slo(Fraction(95, 100), 300_000)
    assert slo_of("p90:1ms", given) == Slo(Fraction(9, 10), 1_000_000)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "add --slo p99:50ms"),
        ("50ms", "wanted a quantile and a time"),
        ("p99:50", "wanted a quantile and a time"),
        ("p99:-1ms", "wanted a quantile and a time"),
        ("p99:1e3ms", "wanted a quantile and a time"),
        ("p٩٩:50ms", "wanted a quantile and a time"),
        ("mean:5ms", "a mean is no share of the queries"),
        ("p100:5ms", "a p100 is no share of the queries"),
        ("p0:5ms", "between p0 and p100"),
        ("p99:0ms", "wanted from 1 ns"),
        ("p99:999999999s", "wanted from 1 ns to 86400 s"),
    ],
)
def test_anything_else_is_refused(text: str | None, words: str) -> None:
    with pytest.raises(CommandError, match=words) as refusal:
        slo_of(text, config())
    assert refusal.value.code is Exit.USAGE


def test_a_config_may_ask_for_more_than_can_be_shown() -> None:
    with pytest.raises(CommandError, match="p100 cannot be shown by any sample"):
        slo_of(None, config(slo={"response_ms": 5, "quantile": 1}))
