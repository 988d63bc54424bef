"""What the tests of the command line share: a cache of their own, and tiny_resnet cut and built in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.command import dvabatch


@pytest.fixture(autouse=True)
def few_figures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes most of a small run: only tests that ask for figures wait for it."""
    if "figures" not in request.fixturenames:
        monkeypatch.setattr("dvabatch_cli.experiment.draw_all", lambda report, folder: [])


@pytest.fixture
def figures() -> None:
    """Asks for figures."""


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with model.onnx and its stages; DVABATCH_CACHE lies in it."""
    folder = tmp_path_factory.mktemp("workshop")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DVABATCH_CACHE", str(folder / "cache"))
        assert dvabatch("model", "tiny_resnet", "--seed", 1, "-o", folder / "model.onnx").code == 0
        cut = dvabatch(
            "slice", folder / "model.onnx", "--stages", 3, "--max-batch", 2, "--threads", 1, "-o", folder / "stages"
        )
        assert cut.code == 0
        yield folder


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache for this test alone."""
    monkeypatch.setenv("DVABATCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
