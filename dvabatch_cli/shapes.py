"""trtexec's spelling of shapes and constants on the command line."""

from __future__ import annotations

import re
from collections.abc import Iterable

from dvabatch_cli.errors import CommandError

_SHAPE = re.compile(r"(?P<name>.+):(?P<dims>\d{1,9}(x\d{1,9}){0,15})")


def parse_shapes(texts: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """`x:1x3x320x320` (comma-separated or one by one) as shapes by input name.

    Raises:
        CommandError: a text is no shape, or an input comes twice.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for text in (part for each in texts for part in each.split(",")):
        match = _SHAPE.fullmatch(text)
        if match is None:
            raise CommandError(f"--shapes {text!r} is no shape; wanted NAME:DxDx..., for example x:1x3x320x320")
        if match["name"] in shapes:
            raise CommandError(f"--shapes names {match['name']!r} twice; give each input once")
        shapes[match["name"]] = tuple(int(dim) for dim in match["dims"].split("x"))
    return shapes


def parse_bind(texts: Iterable[str]) -> dict[str, float | int]:
    """`sr=16000` as constants by input name.

    Raises:
        CommandError: a text is no assignment of a number.
    """
    bound: dict[str, float | int] = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            bound[name] = int(value) if re.fullmatch(r"[+-]?\d+", value) else float(value)
        except ValueError:
            raise CommandError(f"--bind {text!r} is no constant; wanted NAME=NUMBER, for example sr=16000") from None
        if not name:
            raise CommandError(f"--bind {text!r} names no input; wanted NAME=NUMBER, for example sr=16000")
    return bound
