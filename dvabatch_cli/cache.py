"""`dvabatch cache`: list and clear built engines, and the models and stages that configs made."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from dvabatch_cli.app import app
from dvabatch_cli.console import one_message, out, print_json, say_next
from dvabatch_cli.options import Json
from engines.cache import EngineCache, default_root

cache_app = typer.Typer(
    help="List and clear built engines, and the models and stages that configs made.", no_args_is_help=True
)
app.add_typer(cache_app, name="cache", epilog="Example: dvabatch cache list")


@cache_app.command("list", epilog="Example: dvabatch cache list --json")
def list_(as_json: Json = False) -> None:
    """List what is in the cache."""
    with one_message():
        entries = [
            {
                "kind": "engine",
                "name": str(entry.meta.get("stage", entry.key[:12])),
                "bytes": entry.size_bytes,
                "path": str(entry.folder),
            }
            for entry in EngineCache().entries()
        ]
        entries += [
            {"kind": kind, "name": path.name, "bytes": _size(path), "path": str(path)}
            for kind in ("models", "stages")
            for path in sorted((default_root() / kind).glob("*"))
        ]
        if as_json:
            print_json(entries)
            return
        table = Table(title=escape(f"cache {default_root()}"))
        for heading in ("kind", "name", "MB"):
            table.add_column(heading, justify="right" if heading == "MB" else "left")
        for entry in entries:
            table.add_row(str(entry["kind"]), escape(str(entry["name"])), f"{float(str(entry['bytes'])) / 1e6:.1f}")
        out.print(table)
        say_next("dvabatch cache clear", as_json)


@cache_app.command("clear", epilog="Example: dvabatch cache clear --engines-only")
def clear(
    engines_only: Annotated[bool, typer.Option("--engines-only", help="Keep models and stages.")] = False,
    as_json: Json = False,
) -> None:
    """Remove what is in the cache; everything in it can be made again."""
    with one_message():
        count, size = EngineCache().clear()
        if not engines_only:
            for kind in ("models", "stages"):
                folder = default_root() / kind
                for path in sorted(folder.glob("*")):
                    count, size = count + 1, size + _size(path)
                if folder.is_dir():
                    shutil.rmtree(folder)
        if as_json:
            print_json({"removed": count, "bytes": size})
        else:
            out.print(f"removed {count} entries, {size / 1e6:.1f} MB", highlight=False)


def _size(path: Path) -> int:
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return path.stat().st_size
