"""From a config's faults and timeout to those of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dvabatch.batching.profile import NS_PER_MS
from dvabatch.runtime.faults import Cancelling, Failing, Fault, Faults, Hanging, Hurrying, LosingDevice, Slow
from dvabatch_cli.config import Config
from dvabatch_cli.config.faults import (
    AnyFault,
    CancelFault,
    DeadlineFault,
    DeviceLostFault,
    FailFault,
    HangFault,
    SlowFault,
)

_NS_PER_S = 1e9


def faults_of(config: Config, seed: int) -> Faults | None:
    """What befalls a run of this seed; None where nothing does."""
    return Faults([_fault_of(fault) for fault in config.faults], seed) if config.faults else None


def timeout_ns(config: Config) -> int | None:
    """How long a launch may take; None: as long as is usual."""
    timeout_ms = config.engine.launch_timeout_ms
    return None if timeout_ms is None else max(1, round(timeout_ms * NS_PER_MS))


def fault_facts(faults: Faults | None, given_up: int) -> Mapping[str, Any] | None:
    """What befell a run, as the report names it; None where nothing could or did."""
    if faults is None and not given_up:
        return None
    return {"injected": {} if faults is None else dict(faults.counts), "launches_given_up": given_up}


def _fault_of(fault: AnyFault) -> Fault:
    match fault:
        case SlowFault():
            from_ns = round(fault.from_s * _NS_PER_S)
            if fault.until_s is None:
                return Slow(fault.stage, fault.factor, from_ns)
            return Slow(fault.stage, fault.factor, from_ns, max(from_ns + 1, round(fault.until_s * _NS_PER_S)))
        case FailFault():
            return Failing(fault.stage, fault.rate or 0.0, fault.launch)
        case HangFault():
            return Hanging(fault.stage, fault.rate or 0.0, fault.launch)
        case CancelFault():
            return Cancelling(fault.rate, round(fault.after_ms * NS_PER_MS))
        case DeadlineFault():
            return Hurrying(fault.rate, round(fault.after_ms * NS_PER_MS))
        case DeviceLostFault():
            return LosingDevice(round(fault.at_s * _NS_PER_S))
