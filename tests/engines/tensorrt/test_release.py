"""What differs between releases of TensorRT, against a stand-in for each."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from engines.errors import BackendMissingError
from engines.tensorrt import release
from tests.engines.tensorrt.stand_ins import (
    ALL,
    RELEASE_8_6,
    RELEASE_10,
    RELEASE_11,
    Config,
    NewContext,
    NewEngine,
    NewError,
    OldContext,
    OldEngine,
    OldError,
)

each_release = pytest.mark.parametrize("trt", ALL.values(), ids=ALL)


@each_release
def test_known_releases_pass(trt: Any) -> None:
    release.check(trt)


@pytest.mark.parametrize("version", ["8.5.3", "7.2.1"])
def test_older_releases_are_refused_with_what_to_do(version: str) -> None:
    with pytest.raises(BackendMissingError, match=rf"TensorRT {version} .*8\.6 or newer: pip install"):
        release.check(SimpleNamespace(__version__=version))


def test_networks_have_an_explicit_batch_where_that_is_a_choice() -> None:
    assert [release.network_flags(trt) for trt in (RELEASE_8_6, RELEASE_10, RELEASE_11)] == [1, 1, 0]


@each_release
@pytest.mark.parametrize(("precision", "has_tf32"), [("fp32", False), ("tf32", True)])
def test_fp32_is_exact_and_tf32_is_not(trt: Any, precision: str, has_tf32: bool) -> None:
    config = Config()
    release.set_precision(trt, config, precision)
    assert ("TF32" in config.flags) == has_tf32


def test_fp16_is_a_flag_until_networks_are_strongly_typed() -> None:
    for trt in (RELEASE_8_6, RELEASE_10):
        config = Config()
        release.set_precision(trt, config, "fp16")
        assert "FP16" in config.flags
    with pytest.raises(BackendMissingError, match=r"strongly typed networks only.*--precision fp32"):
        release.set_precision(RELEASE_11, Config(), "fp16")


def test_profiles_are_shared_by_a_feature_where_there_is_one() -> None:
    for trt, features in ((RELEASE_8_6, {"sharing": True}), (RELEASE_10, {}), (RELEASE_11, {})):
        config = Config()
        release.share_profiles(trt, config)
        assert config.features == features


def test_tactics_of_other_libraries_are_left_out() -> None:
    for trt, sources in ((RELEASE_8_6, 0b11000), (RELEASE_10, 0b11000), (RELEASE_11, 0b10000)):
        config = Config()
        release.use_own_tactics(trt, config)
        assert config.sources == sources


def test_a_launch_keeps_to_one_stream_where_that_can_be_said() -> None:
    config = Config()
    release.keep_to_one_stream(config)
    assert config.max_aux_streams == 0
    bare = Config(with_streams=False)
    release.keep_to_one_stream(bare)
    assert not hasattr(bare, "max_aux_streams")


def test_contexts_without_memory_and_the_memory_they_are_given() -> None:
    assert release.context_bytes(OldEngine()) == 1000
    assert release.context_bytes(NewEngine()) == 3 << 31
    assert release.bare_context(RELEASE_8_6, OldEngine()) == "bare"
    assert release.bare_context(RELEASE_10, NewEngine()) == "context user managed"
    old, new = OldContext(), NewContext()
    release.give_memory(old, 512, 1000)
    release.give_memory(new, 512, 1000)
    assert (old.device_memory, new.given) == (512, (512, 1000))


def test_a_refused_node_has_a_number_and_later_a_name() -> None:
    assert release.refused_node(OldError()) == (3, None)
    assert release.refused_node(NewError()) == (3, "conv_3")
