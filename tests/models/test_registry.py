"""Networks are found by name and written whole, with the same bytes each time."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from dvabatch.models import ModelError, build_network, write_network
from dvabatch.models.registry import registry


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_registry_knows_its_networks_by_their_names() -> None:
    paper = {"resnet_152", "vgg_19", "unet", "linknet", "densenet_121", "inception_v3", "bert_base"}
    assert set(registry) == paper | {"tiny_resnet", "tiny_unet", "tiny_bert"}
    assert all(name == network.name for name, network in registry.items())
    assert registry["resnet_152"].input_shape == (3, 224, 224)


@pytest.mark.parametrize("name", ["tiny_resnet", "tiny_unet", "tiny_bert", "linknet", "densenet_121"])
def test_inputs_are_named_as_in_the_model(name: str) -> None:
    assert tuple(value.name for value in build_network(name).graph.input) == registry[name].inputs


@pytest.mark.parametrize("name", ["tiny_unet", "tiny_bert"])
def test_tiny_networks_are_tiny(name: str, tmp_path: Path) -> None:
    assert write_network(name, tmp_path / "tiny.onnx").stat().st_size < 1_000_000


def test_the_file_holds_the_model_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "new" / "tiny.onnx"
    assert write_network("tiny_resnet", path) == path
    assert onnx.load(path) == build_network("tiny_resnet")
    assert path.stat().st_size < 1_000_000
    assert [entry.name for entry in path.parent.iterdir()] == ["tiny.onnx"]


def test_same_seed_same_bytes_even_in_another_process(tmp_path: Path) -> None:
    here = write_network("tiny_resnet", tmp_path / "here.onnx", seed=3)
    there = tmp_path / "there.onnx"
    code = (
        "import sys; from pathlib import Path; from dvabatch.models import write_network;"
        "write_network('tiny_resnet', Path(sys.argv[1]), seed=3)"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    subprocess.run([sys.executable, "-c", code, str(there)], check=True, env=environment)
    assert digest(here) == digest(there)
    assert digest(here) != digest(write_network("tiny_resnet", tmp_path / "other.onnx", seed=4))


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "tiny.onnx"
    path.write_bytes(b"old")

    def full_disk(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_network("tiny_resnet", path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["tiny.onnx"]
    assert path.read_bytes() == b"old"


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(ModelError, match=r"no network is called 'resnet152': did you mean 'resnet_152'\?"):
        build_network("resnet152")


@pytest.mark.parametrize("shape", [(3, 0, 32), (3, -1, 32), (3, 32, 32.0), (3, True, 32)])
def test_an_impossible_size_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match="the input shape must be positive whole numbers"):
        build_network("tiny_resnet", input_shape=shape)


@pytest.mark.parametrize("seed", [-1, 1.5, True, "1"])
def test_an_impossible_seed_is_refused(seed: int) -> None:
    with pytest.raises(ModelError, match="the seed must be a whole number of at least 0"):
        build_network("tiny_resnet", seed=seed)
