"""What a command says: results on standard output, progress on standard error, and one clear message when it cannot go on."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import typer
from rich.console import Console

from dvabatch.batching.errors import BatchingError, ProfileError
from dvabatch.loadgen import LoadFileError
from dvabatch.models import ModelError
from dvabatch.reporting.errors import ReportError
from dvabatch.runtime.padding import PayloadError
from dvabatch_cli.config import ConfigError
from dvabatch_cli.errors import CommandError, Exit
from engines.device import DeviceError
from engines.errors import BackendMissingError, CacheError, EngineError
from slicer import SliceError

# A table that is piped is as wide as it needs; a terminal says how wide it is.
out = Console(width=None if sys.stdout.isatty() else 110)
err = Console(stderr=True, soft_wrap=True, highlight=False)

# Which exit code each kind of error has; the first that fits.
_CODES: tuple[tuple[type[Exception], Exit], ...] = (
    (BackendMissingError, Exit.ENVIRONMENT),
    (CacheError, Exit.ENVIRONMENT),
    (DeviceError, Exit.ENVIRONMENT),
    (OSError, Exit.ENVIRONMENT),
    (ConfigError, Exit.USAGE),
    (ProfileError, Exit.USAGE),
    (SliceError, Exit.USAGE),
    (ModelError, Exit.USAGE),
    (LoadFileError, Exit.USAGE),
    (PayloadError, Exit.USAGE),
    (ReportError, Exit.USAGE),
    (EngineError, Exit.USAGE),
)

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


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
        fail(_text(error), _code(error))
    except BatchingError as error:
        err.print(f"This is a defect of dvabatch: {error}", style="red", markup=False)
        raise
    finally:
        signal.signal(signal.SIGINT, before)


def fail(message: str, code: Exit) -> NoReturn:
    """One message, one exit code."""
    err.print(f"dvabatch: {message}", style="red", markup=False)
    raise typer.Exit(code)


def _code(error: BaseException) -> Exit:
    if _no_room(error):
        return Exit.ENVIRONMENT
    return next(code for kind, code in _CODES if isinstance(error, kind))


def _text(error: BaseException) -> str:
    text = str(error)
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if _no_room(error):
        return f"{text}; points measured so far are kept: make room and go on with --resume"
    return f"{text}; check the path and its permissions" if isinstance(error, OSError) else text


def _no_room(error: BaseException) -> bool:
    """Whether the disk took no more, said by the system or by an error of ours that came of it."""
    return any(isinstance(each, OSError) and each.errno in _NO_ROOM for each in (error, error.__cause__))


def _interrupt(number: int, frame: object) -> NoReturn:
    signal.signal(signal.SIGINT, _end_at_once)
    raise KeyboardInterrupt


def _end_at_once(number: int, frame: object) -> NoReturn:
    for child in multiprocessing.active_children():  # a sweep's workers would wait for us for good
        child.kill()
    os._exit(Exit.INTERRUPTED)
