"""The same experiment made small: to see within seconds that it runs, never to quote its figures."""

from typing import Any

REQUESTS = 200
SECONDS = 3.0
SAMPLE = 16


def quick_raw(raw: dict[str, Any]) -> dict[str, Any]:
    """A resolved config cut down: first and last load, one seed, few requests, seconds, answers checked.

    Its name gets the suffix "_quick", so that its results never take the place of the real ones.
    """
    load = dict(raw["load"])
    for name in ("utilization", "request_rate"):
        if load.get(name) is not None:
            load[name] = list(dict.fromkeys((load[name][0], load[name][-1])))
    load["seeds"] = load["seeds"][:1]
    # A load that ends by time gets a number too: how many its time holds is known only with the rate.
    load["num_requests"] = min(load["num_requests"] or REQUESTS, REQUESTS)
    load["duration_s"] = None
    load["max_duration_s"] = min(load["max_duration_s"] or SECONDS, SECONDS)
    load["warmup_requests"] = min(load["warmup_requests"], load["num_requests"] // 10)
    _shorten(load)
    checks = {**raw["checks"], "sample": min(raw["checks"]["sample"], SAMPLE)}
    return {**raw, "name": f"{raw['name'][:90]}_quick", "load": load, "checks": checks}


def _shorten(load: dict[str, Any]) -> None:
    """Press steps and ramps into the time that is left, so that all of their levels are met."""
    if load["process"] == "step":
        total = sum(seconds for seconds, _ in load["steps"])
        scale = min(1.0, load["max_duration_s"] / total)
        load["steps"] = [[seconds * scale, level] for seconds, level in load["steps"]]
    if load["process"] == "ramp":
        load["over_s"] = min(load["over_s"], load["max_duration_s"])
