"""The configs and the schema that are shipped."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from dvabatch_cli.config import Config, load_config
from dvabatch_cli.config.document import read_document
from dvabatch_cli.config.policies import HybridDvaOptions, OperatorDvaOptions
from dvabatch_cli.config.schema import config_schema, schema_text

CONFIGS = Path(__file__).parents[2] / "configs"
# claims.json is no config. The model of the minilm ones is found where packages are installed: their figures' test loads them.
FILES = [file for file in sorted(CONFIGS.glob("*.json")) if file.stem not in {"claims", "minilm", "fidelity_minilm"}]


def test_the_schema_is_current() -> None:
    path = CONFIGS / "schema" / "config.schema.json"
    remedy = "run python -m dvabatch_cli.config.schema > configs/schema/config.schema.json"
    assert path.read_text(encoding="utf-8") == schema_text(), remedy


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(config_schema())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_shipped_config_loads_and_fits_the_schema(path: Path) -> None:
    config = load_config(path)
    assert config.name == path.stem
    validator = jsonschema.Draft202012Validator(config_schema())
    validator.validate(read_document(path).raw)
    validator.validate(config.resolved())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_shipped_config_explains_each_field_once(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if re.match(r'\s*"\w+": (?![\[{]$)', line)]
    names = {match[1] for line in lines if (match := re.match(r'\s*"(\w+)":', line))}
    explained = {match[1] for line in text.splitlines() if (match := re.match(r'\s*(?:// )?"(\w+)":.*//', line))}
    assert names <= explained | {"input"}


@pytest.mark.parametrize(
    "broken",
    [
        {"unknown": 1},
        {"name": "../x"},
        {"policies": [{"scheduler_type": "NORMAL", "max_allow_merge_stage": 1}]},
        {"load": {"process": "poisson", "utilization": [0.3, 0]}},
        {"load": {"process": "gamma", "utilization": 0.3, "burstiness": "high"}},
        {"faults": [{}]},
        {"engine": {"max_batch": 1.5}},
    ],
)
def test_the_schema_refuses_what_loading_refuses(broken: dict[str, Any]) -> None:
    raw = {**read_document(CONFIGS / "demo.json").raw, **broken}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(config_schema()).validate(raw)


def test_the_schema_asks_for_no_more_than_loading_does() -> None:
    raw = {"name": "x", "policies": [{"scheduler_type": "HYBRID_DVA"}], "load": {"utilization": 0.5}}
    jsonschema.Draft202012Validator(config_schema()).validate(raw)


@pytest.mark.parametrize("name", ["resnet_152_04", "demo"])
def test_the_paper_s_policies_are_compared(name: str) -> None:
    config = load_config(name)
    assert [each.scheduler_type for each in config.policies] == ["NORMAL", "LOAD_DVA", "OPERATOR_DVA", "HYBRID_DVA"]
    for policy in config.policies[2:]:
        assert isinstance(policy, (OperatorDvaOptions, HybridDvaOptions))
        favors = policy.favor_per_stage
        assert favors is not None
        assert min(favors) < max(favors) <= config.engine.max_batch  # so that batches split and merge on any machine


def test_a_smaller_engine_needs_one_override() -> None:
    config = load_config("resnet_152_04.json", ["engine.max_batch=8"])
    assert {each.max_batch_size for each in config.policies} == {8}


def test_a_table_has_as_many_stages_as_its_config_says() -> None:
    for config in map(load_config, FILES):
        if config.table_path is not None:
            assert set(stages_of(config)) == {config.slicing.stages}


def stages_of(config: Config) -> list[int]:
    assert config.table_path is not None
    table = json.loads(config.table_path.read_text(encoding="utf-8"))
    assert set(map(str, config.lanes)) <= set(table.get("lanes", {}))
    return [len(each["stages"]) for each in table.get("lanes", {"": table}).values()]
