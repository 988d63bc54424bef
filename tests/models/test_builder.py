"""Operators that the builder writes in a way of its own."""

import numpy as np
import onnx
import pytest

from dvabatch.models.builder import HE_VARIANCE, LIFT, LIFTED_VARIANCE, ZERO_SUM_VARIANCE, GraphBuilder
from tests.models.networks import run


def doubling(size: tuple[int, int], kernel: int) -> onnx.ModelProto:
    g = GraphBuilder("doubling", seed=1)
    x = g.conv_transpose(g.input("x", (4, *size)), "up", (4, 6), kernel=kernel, bias=True)
    g.output(x, "y", (6, 2 * size[0], 2 * size[1]))
    return g.model()


@pytest.mark.parametrize("kernel", [2, 3])
def test_a_transposed_convolution_doubles_exactly(kernel: int) -> None:
    model = doubling((5, 8), kernel)
    onnx.checker.check_model(model, full_check=True)
    assert run(model, {"x": np.ones((1, 4, 5, 8), np.float32)}).shape == (1, 6, 10, 16)


def test_cropping_the_top_left_is_a_padding_with_an_output_padding() -> None:
    model = doubling((5, 8), 3)
    rows = np.random.default_rng(0).standard_normal((2, 4, 5, 8), dtype=np.float32)
    cropped = run(model, {"x": rows})
    (node,) = model.graph.node
    for attribute in node.attribute:
        if attribute.name == "pads":
            attribute.ints[:] = [1, 1, 1, 1]
    node.attribute.append(onnx.helper.make_attribute("output_padding", [1, 1]))
    np.testing.assert_allclose(cropped, run(model, {"x": rows}), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("variance", "lift", "kept"),
    [(ZERO_SUM_VARIANCE, 0.0, 1.0), (HE_VARIANCE, 0.0, 0.68), (LIFTED_VARIANCE, LIFT, 1.0)],
)
def test_the_variance_of_zero_sum_filters_keeps_a_signal(variance: float, lift: float, kept: float) -> None:
    g = GraphBuilder("layer", seed=2, variance=variance)
    x = g.conv(g.relu(g.input("x", (256, 1, 1)), "relu"), "conv", (256, 256), kernel=1)
    g.output(x, "y", (256, 1, 1))
    rows = np.random.default_rng(0).standard_normal((200, 256, 1, 1), dtype=np.float32)
    assert np.var(run(g.model(), {"x": rows + np.float32(lift)})) == pytest.approx(kept, rel=0.05)


def test_a_lift_is_the_mean_of_the_bias_and_changes_no_other_weight() -> None:
    def weights(lift: float) -> dict[str, np.ndarray]:
        g = GraphBuilder("lifted", seed=3)
        x = g.conv(g.input("x", (3, 4, 4)), "conv", (3, 500), kernel=1, bias=True, lift=lift)
        x = g.batch_norm(x, "norm", 500, lift=lift)
        x = g.conv_transpose(x, "double", (500, 500), kernel=2, bias=True, lift=lift)
        g.linear(g.global_average_pool(x, "pool"), "linear", (500, 500), lift=lift)
        return {each.name: onnx.numpy_helper.to_array(each) for each in g.model().graph.initializer}

    flat, lifted = weights(0.0), weights(1.5)
    for name, values in flat.items():
        shift = 1.5 if name.endswith(".bias") else 0.0
        np.testing.assert_allclose(lifted[name], values + np.float32(shift), rtol=0, atol=1e-6)
    assert sum(name.endswith(".bias") for name in flat) == 4


def test_a_rectangular_kernel_keeps_the_size_unless_valid() -> None:
    g = GraphBuilder("strips", seed=0)
    x = g.conv(g.input("x", (2, 9, 9)), "kept", (2, 3), kernel=(1, 7))
    g.output(g.conv(x, "cut", (3, 4), kernel=(7, 1), valid=True), "y", (4, 3, 9))
    onnx.checker.check_model(g.model(), full_check=True)
    assert run(g.model(), {"x": np.ones((1, 2, 9, 9), np.float32)}).shape == (1, 4, 3, 9)


def test_an_output_must_be_what_the_last_node_makes() -> None:
    g = GraphBuilder("late", seed=0)
    x = g.input("x", (2, 4, 4))
    first = g.relu(x, "first")
    g.relu(first, "second")
    with pytest.raises(ValueError, match=r"output 'y' is to be 'first.out', but the last node makes \['second.out'\]"):
        g.output(first, "y", (2, 4, 4))
