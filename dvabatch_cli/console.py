"""What a command says: results on standard output, progress on standard error, and one clear message when it cannot go on."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import typer
from rich.console import Console

from dvabatch.batching.errors import BatchingError
from dvabatch.loadgen import LoadFileError
from dvabatch.models import ModelError
from dvabatch.reporting.errors import ReportError
from dvabatch.runtime.padding import PayloadError
from dvabatch_cli.config import ConfigError
from dvabatch_cli.errors import CommandError, Exit
from engines.errors import BackendMissingError, CacheError, EngineError
from slicer import SliceError

out = Console(soft_wrap=False)
err = Console(stderr=True, soft_wrap=True, highlight=False)

# Which exit code each kind of error has; the first that fits.
_CODES: tuple[tuple[type[Exception], Exit], ...] = (
    (BackendMissingError, Exit.ENVIRONMENT),
    (CacheError, Exit.ENVIRONMENT),
    (OSError, Exit.ENVIRONMENT),
    (ConfigError, Exit.USAGE),
    (SliceError, Exit.USAGE),
    (ModelError, Exit.USAGE),
    (LoadFileError, Exit.USAGE),
    (PayloadError, Exit.USAGE),
    (ReportError, Exit.USAGE),
    (EngineError, Exit.USAGE),
)


def speaker(as_json: bool) -> Callable[[str], None]:
    """Says progress on standard error, one line at a time; nothing where a machine reads."""
    if as_json:
        return lambda _: None
    return lambda line: err.print(line, style="dim", markup=False)


def print_json(document: Any) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def say_next(text: str, as_json: bool) -> None:
    """The last line: what to run next."""
    if not as_json:
        err.print(f"Next: {text}", style="bold", markup=False)


@contextmanager
def one_message() -> Iterator[None]:
    """Turns whatever stops a command into one message and its exit code; a defect of ours keeps its traceback.

    The first Ctrl-C interrupts, and what is measured is kept; the second ends the process at once.
    """
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, _interrupt)
    try:
        yield
    except KeyboardInterrupt:
        fail("interrupted", Exit.INTERRUPTED)
    except CommandError as error:
        fail(str(error), error.code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # whoever read has gone; nothing more to say
        raise typer.Exit(Exit.FINE) from None
    except tuple(kind for kind, _ in _CODES) as error:
        fail(_text(error), next(code for kind, code in _CODES if isinstance(error, kind)))
    except BatchingError as error:
        err.print(f"This is a defect of dvabatch: {error}", style="red", markup=False)
        raise
    finally:
        signal.signal(signal.SIGINT, before)


def fail(message: str, code: Exit) -> NoReturn:
    """One message, one exit code."""
    err.print(f"dvabatch: {message}", style="red", markup=False)
    raise typer.Exit(code)


def _text(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}; what was measured is kept, free what is missing and go on with --resume"
    return str(error)


def _interrupt(number: int, frame: object) -> NoReturn:
    signal.signal(signal.SIGINT, lambda *_: os._exit(Exit.INTERRUPTED))
    raise KeyboardInterrupt
