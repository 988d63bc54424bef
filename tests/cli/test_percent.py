"""Percentages on the command line."""

from __future__ import annotations

import pytest

from dvabatch_cli.errors import CommandError
from dvabatch_cli.percent import share_of


@pytest.mark.parametrize(("text", "share"), [("3%", 0.03), ("0.5 %", 0.005), (" 12.5% ", 0.125)])
def test_a_percentage(text: str, share: float) -> None:
    assert share_of(text, "--x") == pytest.approx(share)


@pytest.mark.parametrize("text", ["3", "0.03", "%", "-3%", "0%", "100%", "nan%", "1e1%", "3%%", "\x1b[31m3%"])
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(
        CommandError, match=r"--x: got .*, wanted a percentage above 0 and below 100, for example 3%"
    ) as caught:
        share_of(text, "--x")
    assert str(caught.value).isprintable()
