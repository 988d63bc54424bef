"""The threaded driver as a state machine: Hypothesis sends queries, gives them up, breaks stages, hangs launches, loses the device
and lets launches go on, in any order, on real threads; a plain model says what must come of it.

Launches wait at a gate until a rule lets one of them go, so that what runs together is Hypothesis's choice and not the clock's;
time is a counter. Only `settled` waits in real time, for what is bound to come.
"""

from __future__ import annotations

import io
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from dvabatch.batching.events import DeviceLost, Event, QueryArrived, QueryCancelled
from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Machine, Policy
from dvabatch.batching.query import Query
from dvabatch.runtime.arrivals import NoArrivals
from dvabatch.runtime.journal import Outcome
from dvabatch.runtime.launcher import Launcher
from dvabatch.runtime.observers import JournalObserver
from dvabatch.runtime.shapes import lay_out
from dvabatch.runtime.tensors import TensorTable
from dvabatch.runtime.threaded import ThreadedDriver
from dvabatch.runtime.trace import Recorder, replay
from engines.base import Array
from engines.errors import EngineError
from tests.laws.random_policy import RandomPolicy
from tests.runtime.rig import Around, quick_table, token_of
from tests.runtime.test_threaded import POLICIES
