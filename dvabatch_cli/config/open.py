"""From a name, a path or raw values to a Config: the doors of this package."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dvabatch_cli.config.config import Config
from dvabatch_cli.config.document import Document, read_document
from dvabatch_cli.config.find import find_config
from dvabatch_cli.config.validate import build
from dvabatch_cli.overrides import Override, apply_overrides


def load_config(name_or_path: str | Path, overrides: Iterable[str | Override] = ()) -> Config:
    """The config called `name_or_path` (see `find_config`) with `overrides` ("load.request_rate=200") applied to it.

    Raises ConfigError with every problem found.
    """
    path = find_config(name_or_path)
    return build(apply_overrides(read_document(path), overrides), path.parent, given=True)


def config_of(
    raw: Mapping[str, Any],
    *,
    folder: Path | None = None,
    overrides: Iterable[str | Override] = (),
    source: str = "config",
) -> Config:
    """The config of raw values, such as a report's `config`; its paths are relative to `folder`, else to the working
    folder. Messages call it `source`. Raises ConfigError with every problem found."""
    document = Document(source, dict(raw), None)
    return build(apply_overrides(document, overrides), Path() if folder is None else folder)
