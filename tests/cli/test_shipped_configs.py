"""The shipped configs of networks: what each says fits the network, and a dry run of it plans something."""

from pathlib import Path

import pytest

from dvabatch.models.bert import Bert
from dvabatch.models.registry import Network, registry
from dvabatch_cli.config import Config, load_config
from dvabatch_cli.config.model import NetworkModel
from dvabatch_cli.config.policies import HybridDvaOptions, OperatorDvaOptions
from tests.cli.command import dvabatch

NAMES = (
    "resnet_152_04",
    "vgg_19_04",
    "unet_03",
    "linknet_03",
    "densenet_121_04",
    "inception_v3_04",
    "bert_base_04",
    "bert_tiny",
    "demo",
)


@pytest.fixture(params=NAMES)
def config(request: pytest.FixtureRequest) -> Config:
    return load_config(request.param)


def network_of(config: Config) -> Network:
    assert isinstance(config.model, NetworkModel)
    return registry[config.model.network]


def test_a_config_of_a_whole_network_is_named_after_it_and_its_stages(config: Config) -> None:
    network = network_of(config).name
    if config.name not in {"demo", "bert_tiny"}:
        assert config.name == f"{network}_{config.slicing.stages:02}"


def test_every_network_has_a_config() -> None:
    served = {network_of(load_config(name)).name for name in NAMES}
    assert served == set(registry) - {"tiny_resnet", "tiny_unet"}


@pytest.mark.usefixtures("own_cache")
def test_a_dry_run_says_what_would_be_made_and_makes_nothing(config: Config, tmp_path: Path) -> None:
    done = dvabatch("bench", config.name, "--dry-run", "-o", tmp_path / "results")
    assert done.code == 0
    text = " ".join((done.out + done.err).split())
    assert f"the model {network_of(config).name}-" in text
    assert f"its {config.slicing.stages} stages" in text
    assert not list(tmp_path.rglob("*.onnx"))
    assert not (tmp_path / "results").exists()


def test_payloads_are_said_for_inputs_that_the_network_has(config: Config) -> None:
    network = network_of(config)
    assert set(config.inputs) <= set(network.inputs)
    masked = {name: section.mask_of for name, section in config.inputs.items() if section.mask_of is not None}
    assert masked == ({"attention_mask": "input_ids"} if len(network.inputs) > 1 else {})


def test_lanes_and_tokens_stay_within_what_the_network_knows(config: Config) -> None:
    network = network_of(config)
    assert isinstance(config.model, NetworkModel)
    assert config.model.input is not None
    if not isinstance(network.build, Bert):
        assert not config.lanes
        return
    (longest,) = config.model.input
    assert config.lanes
    assert config.lanes[-1] <= longest
    assert config.inputs["input_ids"].high == network.build.vocabulary


def test_each_stage_has_a_favoured_size_that_its_engine_takes(config: Config) -> None:
    """And they differ, so that batches split and merge on any machine."""
    for policy in config.policies:
        if isinstance(policy, (OperatorDvaOptions, HybridDvaOptions)):
            favors = policy.favor_per_stage
            assert favors is not None
            assert len(favors) == config.slicing.stages
            assert min(favors) < max(favors) <= config.engine.max_batch
