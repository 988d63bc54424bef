"""Pictures as bytes: the network makes the numbers that the float network is given."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from dvabatch.models import ModelError, build_network


def answer(
    picture: np.ndarray[tuple[int, ...], np.dtype[np.generic]], *, as_bytes: bool, name: str = "tiny_resnet"
) -> object:
    model = build_network(name, seed=2, as_bytes=as_bytes)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"input": picture})[0]


@pytest.mark.parametrize("name", ["tiny_resnet", "tiny_unet"])
def test_bytes_give_the_answer_of_their_scaled_values(name: str) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (2, 3, 32, 32), dtype=np.uint8)
    scaled = ((picture.astype(np.float32) - 127.5) / np.float32(73.9)).astype(np.float32)
    assert np.allclose(
        answer(picture, as_bytes=True, name=name), answer(scaled, as_bytes=False, name=name), rtol=1e-5, atol=1e-5
    )


def test_bytes_of_all_values_spread_as_the_floats_of_other_payloads_do() -> None:
    assert abs(((np.arange(256) - 127.5) / 73.9).std() - 1) < 1e-3


def test_what_takes_no_pictures_is_refused() -> None:
    with pytest.raises(ModelError, match=r"tiny_bert takes 2 inputs of types \['INT64', 'INT64'\]: uint8 serves"):
        build_network("tiny_bert", as_bytes=True)
