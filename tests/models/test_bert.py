"""BERT-base is the published network; its padding is harmless, and all else of a row matters."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dvabatch.models import ModelError, build_network
from dvabatch.models.bert import Bert
from dvabatch.models.registry import registry
from tests.models.networks import apart, kinds, parameters, rows_for, run, session_of

TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def bert_base() -> onnx.ModelProto:
    return build_network("bert_base")


@pytest.fixture(scope="module")
def tiny() -> ort.InferenceSession:
    return session_of(build_network("tiny_bert"))


def answer(session: ort.InferenceSession, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return run(session, {"input_ids": ids.astype(np.int64), "attention_mask": mask.astype(np.int64)})


def test_it_has_the_published_parameters(bert_base: onnx.ModelProto) -> None:
    width, norm = 768, 2 * 768
    embeddings = (30_522 + 512 + 2) * width + norm
    block = 4 * (width * width + width) + norm + (width * 3072 + 3072) + (3072 * width + width) + norm
    pooler = width * width + width
    assert parameters(bert_base) == embeddings + 12 * block + pooler == 109_482_240


def test_it_has_12_blocks(bert_base: onnx.ModelProto) -> None:
    assert kinds(bert_base).count("Softmax") == kinds(bert_base).count("Erf") == 12
    assert kinds(bert_base).count("LayerNormalization") == 1 + 2 * 12


def test_it_answers_finite_and_by_input(bert_base: onnx.ModelProto, tmp_path: Path) -> None:
    path = tmp_path / "bert.onnx"
    onnx.save(bert_base, path)
    output = run(session_of(path), rows_for(bert_base, 2, sequence=16))
    assert output.shape == (2, 768)
    assert apart(output) > 0.2
    assert np.abs(output).mean() < 0.9  # the pooler's tanh is not saturated


@pytest.mark.parametrize("name", ["bert_base", "tiny_bert"])
def test_batch_and_sequence_are_free(name: str, request: pytest.FixtureRequest) -> None:
    model = request.getfixturevalue(name) if name == "bert_base" else build_network(name)
    described = [
        (value.name, value.type.tensor_type.elem_type, [dim.dim_param for dim in value.type.tensor_type.shape.dim])
        for value in model.graph.input
    ]
    assert described == [(each, onnx.TensorProto.INT64, ["N", "S"]) for each in ("input_ids", "attention_mask")]
    assert registry[name].inputs == ("input_ids", "attention_mask")


@pytest.mark.parametrize("length", [1, 2, 7, 64, 128])
def test_any_length_up_to_the_longest(tiny: ort.InferenceSession, length: int) -> None:
    ids = np.arange(2 * length).reshape(2, length)
    assert np.isfinite(answer(tiny, ids, np.ones_like(ids))).all()


@settings(max_examples=40, deadline=None)
@given(length=st.integers(1, 40), padding=st.integers(1, 60), filler=st.integers(0, 999), seed=st.integers(0, 99))
def test_padding_is_harmless(tiny: ort.InferenceSession, length: int, padding: int, filler: int, seed: int) -> None:
    """Whatever it is filled with, and beside a row that is not padded."""
    random = np.random.default_rng(seed)
    ids = random.integers(0, 1000, (2, length + padding))
    ids[0, length:] = filler
    mask = np.ones_like(ids)
    mask[0, length:] = 0
    alone = answer(tiny, ids[:1, :length], mask[:1, :length])
    np.testing.assert_allclose(answer(tiny, ids, mask)[:1], alone, rtol=0, atol=TOLERANCE)


def test_padding_without_a_mask_is_not(tiny: ort.InferenceSession) -> None:
    ids = np.arange(12).reshape(1, 12)
    padded = np.pad(ids, ((0, 0), (0, 20)))
    changed = answer(tiny, padded, np.ones_like(padded)) - answer(tiny, ids, np.ones_like(ids))
    assert np.abs(changed).max() > 100 * TOLERANCE


def test_a_row_masked_whole_is_finite(tiny: ort.InferenceSession) -> None:
    ids = np.arange(12).reshape(2, 6)
    assert np.isfinite(answer(tiny, ids, np.zeros_like(ids))).all()


@pytest.mark.parametrize("position", range(8))
def test_every_token_matters(tiny: ort.InferenceSession, position: int) -> None:
    ids = np.arange(8).reshape(1, 8)
    other = ids.copy()
    other[0, position] = 500
    changed = answer(tiny, ids, np.ones_like(ids)) - answer(tiny, other, np.ones_like(ids))
    assert np.abs(changed).max() > 100 * TOLERANCE


def test_the_order_of_tokens_matters(tiny: ort.InferenceSession) -> None:
    ids = np.array([[1, 2, 3, 4]])
    changed = answer(tiny, ids, np.ones_like(ids)) - answer(tiny, ids[:, [0, 2, 1, 3]], np.ones_like(ids))
    assert np.abs(changed).max() > 100 * TOLERANCE


def test_fewer_positions_are_the_first_and_the_other_weights_the_same() -> None:
    short = {w.name: onnx.numpy_helper.to_array(w) for w in build_network("tiny_bert").graph.initializer}
    for weight in build_network("tiny_bert", input_shape=(512,)).graph.initializer:
        kept = onnx.numpy_helper.to_array(weight)
        np.testing.assert_array_equal(kept[:128] if weight.name == "embeddings.positions" else kept, short[weight.name])


def test_more_positions_than_published_are_refused() -> None:
    with pytest.raises(ModelError, match=r"tiny_bert takes .* got \(513,\): .* one length from 1 to 512"):
        build_network("tiny_bert", input_shape=(513,))


def test_heads_share_the_width_evenly() -> None:
    with pytest.raises(ValueError, match="b has 64 channels for 5 heads"):
        Bert("b", blocks=1, hidden=64, heads=5, vocabulary=10)
