"""Every figure of the evaluation in its quick form, one after another in one folder, as `dvabatch figure all --quick` would."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from dvabatch_cli.studies import STUDIES
from tests.cli.command import dvabatch

# Numbers that each figure must find even in its quick form.
METRICS = {
    "latency": ("auto_over_swept.resnet_152.30", "auto_over_untuned.bert_base.70", "load_dva_over_swept.resnet_152.70"),
    "peak": ("peak.unet.auto", "peak_over_swept.resnet_152.auto"),
    "cdf": ("p99_ms.bert_base.input_dva.70",),
    "changing": ("auto_over_untuned.resnet_152.bursts_20", "auto_over_untuned.bert_base.steps"),
    "batches": ("mean_rows.hybrid_dva.1", "mean_rows.normal.0"),
    "favored": ("smallest_of_alone.unet.1", "smallest_of_alone.bert_base.128.3"),
    "tax": ("tax.minilm.1", "tax.fidelity_resnet_152.4"),
    "ablation": ("hybrid_dva_over_swept.resnet_152.30", "normal_over_swept.resnet_152.70"),
    "fidelity": ("left_out", "mean.resnet_152.auto.300", "mean.minilm.input_dva.600"),
    "lengths": ("throughput_rps.normal_input",),
    "losses": ("worst.load_dva", "auto_over_swept.resnet_152.30"),
}
SENDER_LATE = 4  # what a machine whose cores are taken may do to a measured run; it is drawn, and says so


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Results and cache that the figures share."""
    folder = tmp_path_factory.mktemp("evaluation")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DVABATCH_CACHE", str(folder / "cache"))
        patch.chdir(folder)
        yield folder


@pytest.mark.slow
@pytest.mark.parametrize("name", STUDIES)
def test_the_quick_form_runs_draws_and_finds_its_numbers(name: str, place: Path) -> None:
    done = dvabatch("figure", name, "--quick")
    facts = json.loads((place / "results" / "figures" / f"{name}_quick.json").read_text())
    assert done.code in {0, SENDER_LATE if facts["invalid"] else 0}, done.err
    assert "QUICK" in (place / "results" / "figures" / f"{name}_quick.svg").read_text()
    assert (place / "results" / "figures" / f"{name}_quick.png").read_bytes().startswith(b"\x89PNG")
    assert set(METRICS[name]) <= set(facts["metrics"])
    assert all(value >= 0 for value in facts["metrics"].values())
