"""Exit codes, and the error that carries one."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """What a command's exit code says."""

    FINE = 0
    INTERNAL = 1  # a defect of dvabatch
    USAGE = 2  # wrong usage, config or input file
    ENVIRONMENT = 3  # the machine lacks something; `dvabatch doctor` says what
    INVALID = 4  # a run is invalid: its sender was late, or its answers are wrong
    FAILED = 5  # a target or comparison failed
    INTERRUPTED = 130


class CommandError(Exception):
    """One message for the user: what came, what was wanted, what to do."""

    def __init__(self, message: str, code: Exit = Exit.USAGE) -> None:
        super().__init__(message)
        self.code = code
