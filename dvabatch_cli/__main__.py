"""`dvabatch` and `python -m dvabatch_cli`."""

from __future__ import annotations

from dvabatch_cli import (  # noqa: F401 -- each registers itself
    bench,
    build,
    cache,
    check,
    compare,
    doctor,
    explain,
    figure,
    model,
    plot,
    profile,
    report,
    search,
    simulate,
    slice,
    trace,
    tune,
)
from dvabatch_cli.app import app


def main() -> None:
    """The console script."""
    app(prog_name="dvabatch")


if __name__ == "__main__":
    main()
