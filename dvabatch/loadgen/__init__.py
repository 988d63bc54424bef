"""The load of a run: when requests come, how long they are and what they carry, all known before it starts."""

from dvabatch.loadgen.errors import LoadFileError
from dvabatch.loadgen.pacing import Cursor, send
from dvabatch.loadgen.payloads import InputSpec, PayloadPool
from dvabatch.loadgen.processes import Process
from dvabatch.loadgen.replay import Replay, read_replay
from dvabatch.loadgen.schedule import Schedule, make_schedule

__all__ = [
    "Cursor",
    "InputSpec",
    "LoadFileError",
    "PayloadPool",
    "Process",
    "Replay",
    "Schedule",
    "make_schedule",
    "read_replay",
    "send",
]
