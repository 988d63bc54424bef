"""Percentages on the command line."""

from __future__ import annotations

import re

from dvabatch_cli.errors import CommandError


def share_of(text: str, option: str) -> float:
    """ "3%" as 0.03. A bare number is refused: nobody could tell 0.03 from 0.03 %."""
    found = re.fullmatch(r"\s*(\d{1,3}(?:\.\d{1,6})?)\s*%\s*", text)
    if found is None or not 0 < float(found[1]) < 100:
        raise CommandError(f"{option}: got {text!a}, wanted a percentage above 0 and below 100, for example 3%")
    return float(found[1]) / 100
