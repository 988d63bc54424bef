"""`dvabatch` and `python -m dvabatch_cli`."""

from __future__ import annotations

from dvabatch_cli import bench, build, cache, doctor, model, plot, profile, simulate, slice  # noqa: F401 -- each registers itself
from dvabatch_cli.app import app


def main() -> None:
    """The console script."""
    app(prog_name="dvabatch")


if __name__ == "__main__":
    main()
