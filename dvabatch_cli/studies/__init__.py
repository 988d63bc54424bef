"""The figures of the evaluation, one module each: a claim, the runs that it rests on, how it is drawn."""

from __future__ import annotations

from typing import Final

from dvabatch_cli.studies import ablation, batches, cdf, changing, fidelity, latency, lengths, losses, peak, profiles
from dvabatch_cli.studies.study import Reports, Run, Study

STUDIES: Final[dict[str, Study]] = {
    study.name: study
    for study in (
        latency.STUDY,
        peak.STUDY,
        cdf.STUDY,
        changing.STUDY,
        batches.STUDY,
        profiles.FAVORED,
        profiles.TAX,
        ablation.STUDY,
        fidelity.STUDY,
        lengths.STUDY,
        losses.STUDY,
    )
}

__all__ = ["STUDIES", "Reports", "Run", "Study"]
