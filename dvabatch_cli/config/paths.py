"""Where in a JSON document a value lies: `("policies", 1, "max_batch_size")`, written `policies[1].max_batch_size`."""

import json
import re
from collections.abc import Iterator

Path = tuple[str | int, ...]

_NAME = re.compile(r"[^.=\[\]\"\s]+")
_STEP = re.compile(r"\.(?P<name>[^.=\[\]\"\s]+)|\[(?P<index>\d{1,6})\]|\[(?P<quoted>\"[^\"\\]*(?:\\.[^\"\\]*)*\")\]")
_PLAIN = re.compile(r"[A-Za-z_$][\w$-]*", re.ASCII)


def render(path: Path) -> str:
    """`path` as people write it; names that are no plain words stand in brackets and quotes.

    >>> render(("policies", 1, "max_batch_size"))
    'policies[1].max_batch_size'
    >>> render(("inputs", "a.b", "pad"))
    'inputs["a.b"].pad'
    """
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _PLAIN.fullmatch(step):
            text += f".{step}" if text else step
        else:
            text += f"[{json.dumps(step)}]"
    return text


def split_assignment(text: str) -> tuple[tuple[str, ...], str]:
    """`a.0.b=value` (or `a[0].b=value`, `inputs["a.b"].pad=1`) as its steps and what stands behind the sign.

    Whether a step of digits is an index or a name depends on what it meets, so all steps are texts.
    Raises ValueError when `text` is no path, an equals sign and a value.
    """
    first = _NAME.match(text)
    if first is None:
        raise ValueError
    steps, end = [first[0]], first.end()
    while (step := _STEP.match(text, end)) is not None:
        steps.append(json.loads(step["quoted"]) if step["quoted"] else step["name"] or step["index"])
        end = step.end()
    if not text.startswith("=", end):
        raise ValueError
    return tuple(steps), text[end + 1 :]


def prefixes(path: Path) -> Iterator[Path]:
    """`path` itself, its parent, and so on up to the root `()`."""
    for length in range(len(path), -1, -1):
        yield path[:length]
