"""ResNet-152 is the standard network, and small relatives of it answer sensibly."""

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import pytest

from dvabatch.models.errors import ModelError
from dvabatch.models.registry import build_network
from dvabatch.models.resnet import ResNet

# The published count: convolutions, scales and biases of the normalisations, and the classifier.
RESNET_152_PARAMETERS = 60_192_808


def run(model: onnx.ModelProto, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], {"input": rows})
    return np.asarray(logits)


def rows_of(shape: tuple[int, ...], count: int) -> npt.NDArray[np.float32]:
    return np.random.default_rng(7).standard_normal((count, *shape), dtype=np.float32)


@pytest.fixture(scope="module")
def resnet_152() -> onnx.ModelProto:
    return build_network("resnet_152", input_shape=(3, 64, 64))


@pytest.fixture(scope="module")
def tiny() -> onnx.ModelProto:
    return build_network("tiny_resnet")


def test_resnet_152_has_the_published_parameters(resnet_152: onnx.ModelProto) -> None:
    trained = [w for w in resnet_152.graph.initializer if ".running_" not in w.name]
    assert sum(int(np.prod(w.dims)) for w in trained) == RESNET_152_PARAMETERS


def test_resnet_152_has_152_weighted_layers(resnet_152: onnx.ModelProto) -> None:
    kinds = [node.op_type for node in resnet_152.graph.node]
    shortcuts = sum(".downsample.conv" in node.name for node in resnet_152.graph.node)
    assert shortcuts == 4
    assert kinds.count("Conv") - shortcuts + kinds.count("Gemm") == 152
    assert kinds.count("Add") == 3 + 8 + 36 + 3
    assert kinds.count("BatchNormalization") == kinds.count("Conv")


def test_resnet_152_answers_finite_and_by_input(resnet_152: onnx.ModelProto) -> None:
    rows = rows_of((3, 64, 64), 2)
    logits = run(resnet_152, rows)
    assert logits.shape == (2, 1000)
    assert np.isfinite(logits).all()
    assert np.abs(logits[0] - logits[1]).max() > 0.1 * np.abs(logits).max()


def test_model_is_valid_and_readable_by_older_engines(tiny: onnx.ModelProto) -> None:
    onnx.checker.check_model(tiny, full_check=True)
    assert 8 <= tiny.ir_version <= 10
    assert [(opset.domain, opset.version) for opset in tiny.opset_import] == [("", 17)]


def test_names_and_dynamic_batch(tiny: onnx.ModelProto) -> None:
    def described(value: onnx.ValueInfoProto) -> tuple[str, list[str | int]]:
        dims = value.type.tensor_type.shape.dim
        return value.name, [dim.dim_param or dim.dim_value for dim in dims]

    assert [described(value) for value in tiny.graph.input] == [("input", ["N", 3, 32, 32])]
    assert [described(value) for value in tiny.graph.output] == [("logits", ["N", 10])]


def test_each_group_halves_the_picture_in_its_first_3x3() -> None:
    model = onnx.shape_inference.infer_shapes(build_network("tiny_resnet", input_shape=(3, 224, 224)))
    sizes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim[1:]] for value in model.graph.value_info
    }
    ends = [sizes[f"layer{group}.0.relu3.out"] for group in (1, 2, 3, 4)]
    assert ends == [[32, 56, 56], [64, 28, 28], [128, 14, 14], [256, 7, 7]]
    assert sizes["layer2.0.conv1.out"] == [16, 56, 56]
    assert sizes["layer2.0.conv2.out"] == [16, 28, 28]


def test_rows_of_a_batch_do_not_meet(tiny: onnx.ModelProto) -> None:
    rows = rows_of((3, 32, 32), 3)
    together = run(tiny, rows)
    alone = np.concatenate([run(tiny, rows[i : i + 1]) for i in range(3)])
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-5)
    assert np.abs(together[0] - together[1]).max() > 0.1 * np.abs(together).max()


@pytest.mark.parametrize("shape", [(3, 1, 1), (3, 33, 50), (3, 96, 64)])
def test_any_size_of_picture(shape: tuple[int, int, int]) -> None:
    logits = run(build_network("tiny_resnet", input_shape=shape), rows_of(shape, 2))
    assert logits.shape == (2, 10)
    assert np.isfinite(logits).all()


def test_weights_do_not_depend_on_the_size(tiny: onnx.ModelProto) -> None:
    assert build_network("tiny_resnet", input_shape=(3, 64, 64)).graph.initializer == tiny.graph.initializer


def test_every_block_matters() -> None:
    """A branch scaled to nothing would let a lost stage go unseen: dropping one must change the answer."""
    rows = rows_of((3, 32, 32), 2)
    model = ResNet("two", blocks=(2, 1), width=8, classes=10)((3, 32, 32), 0)
    whole = run(model, rows)
    for node in model.graph.node:
        if node.name == "layer1.1.relu3":
            node.input[0] = "layer1.0.relu3.out"  # the shortcut alone
    assert np.abs(whole - run(model, rows)).max() > 0.01 * np.abs(whole).max()


@pytest.mark.parametrize("shape", [(224, 224), (1, 3, 224, 224), (4, 224, 224), ()])
def test_a_wrong_rank_or_colour_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match=r"takes rows of shape \(3, height, width\), got"):
        build_network("tiny_resnet", input_shape=shape)
