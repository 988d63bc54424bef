"""One fixed Hypothesis profile for the laws: the same examples every time, no clock, no database."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings

settings.register_profile(
    "laws",
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=50,
    phases=[Phase.explicit, Phase.generate],  # shrinking takes minutes: add Phase.shrink to have a find made small
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
