"""Stages that sleep by a latency table, put together from a profile: a runtime without a model or a device."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dvabatch.batching.profile import Profile
from engines.table import TableDevice, TableEngine


def table_stages(
    table: Mapping[str, object] | Profile, max_batch: int | None = None
) -> tuple[Profile, list[TableEngine]]:
    """The profile of a latency table, and an engine for each of its stages, sharing one device."""
    profile = table if isinstance(table, Profile) else Profile.from_table(table)
    device = TableDevice(profile.slowdown)
    has_lengths = profile.lanes != (None,)

    def cost_of(stage: int) -> Callable[[int, tuple[int, ...]], tuple[int, float]]:
        def cost(batch: int, row_shape: tuple[int, ...]) -> tuple[int, float]:
            lane = profile.lanes.index(row_shape[0]) if has_lengths else 0
            return profile.stage_ns(stage, batch, lane), profile.share(stage, batch, lane)

        return cost

    engines = [
        TableEngine(
            stage,
            profile.stages,
            cost_of(stage),
            device,
            max_batch=max_batch or profile.max_batch,
            key=profile.digest,
            has_lengths=has_lengths,
        )
        for stage in range(profile.stages)
    ]
    return profile, engines
