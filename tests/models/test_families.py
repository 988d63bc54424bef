"""What holds for the networks of every family, tried on small ones."""

import numpy as np
import onnx
import pytest

from dvabatch.models.registry import registry
from tests.models.networks import FAMILIES, Values, apart, kinds, rows_for, run, session_of

Case = tuple[str, onnx.ModelProto]


@pytest.fixture(scope="module", params=FAMILIES)
def case(request: pytest.FixtureRequest) -> Case:
    build, shape = FAMILIES[request.param]
    return request.param, build(shape, 0)


def test_every_network_is_of_a_family_tried_here() -> None:
    assert {type(network.build) for network in registry.values()} == {type(build) for build, _ in FAMILIES.values()}


def test_it_is_valid_and_readable_by_older_engines(case: Case) -> None:
    model = case[1]
    onnx.checker.check_model(model, full_check=True)
    assert model.ir_version == 8
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 17)]


def test_every_weight_is_used_once_made(case: Case) -> None:
    model = case[1]
    read = [name for node in model.graph.node for name in node.input]
    made = [weight.name for weight in model.graph.initializer]
    assert len(set(made)) == len(made)
    assert set(made) <= set(read)


def test_the_batch_is_free_and_the_output_as_declared(case: Case) -> None:
    model = case[1]
    assert {value.type.tensor_type.shape.dim[0].dim_param for value in model.graph.input} == {"N"}
    (output,) = model.graph.output
    batch, *row = [dim.dim_param or dim.dim_value for dim in output.type.tensor_type.shape.dim]
    assert batch == "N"
    session = session_of(model)
    for count in (1, 3):
        assert run(session, rows_for(model, count)).shape == (count, *row)


def test_the_answer_depends_on_the_input_and_on_nothing_else(case: Case) -> None:
    """Rows of a batch do not meet."""
    model = case[1]
    session, values = session_of(model), rows_for(model, 3)
    together = run(session, values)
    alone = np.concatenate([run(session, one_row(values, index)) for index in range(3)])
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-5 * np.abs(together).max())
    assert apart(together) > 0.1


def one_row(values: Values, index: int) -> Values:
    return {name: value[index : index + 1] for name, value in values.items()}


def test_the_seed_decides_the_weights(case: Case) -> None:
    family, model = case
    build, shape = FAMILIES[family]
    assert build(shape, 0).SerializeToString(deterministic=True) == model.SerializeToString(deterministic=True)
    values = rows_for(model, 1)
    mine, other = run(model, values), run(build(shape, 1), values)
    assert np.abs(mine - other).max() > 0.1 * np.abs(mine).max()


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - {"bert"}))  # that of positions: test_bert.py
def test_weights_do_not_depend_on_the_size_of_pictures(family: str) -> None:
    build, shape = FAMILIES[family]
    assert build((3, 128, 96), 0).graph.initializer == build(shape, 0).graph.initializer


def test_no_saturated_end(case: Case) -> None:
    """A softmax would give nearly the same answer to any input, and comparisons would prove nothing."""
    family, model = case
    assert kinds(model)[-1] in {"Gemm", "Conv", "ConvTranspose", "Tanh"}
    assert np.unique(np.round(run(model, rows_for(model, 2)), 6)).size > 10, family


@pytest.mark.parametrize("shape", [(96, 96), (1, 3, 96, 96), (4, 96, 96), ()])
def test_a_wrong_shape_is_refused_by_name(case: Case, shape: tuple[int, ...]) -> None:
    build, _ = FAMILIES[case[0]]
    with pytest.raises(ValueError, match=rf"{case[1].graph.name} takes rows of shape \(.*\), got"):
        build(shape, 0)
