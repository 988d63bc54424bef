"""Texts of configs, damaged at random: each is a config or a ConfigError that names its place. (Values changed at random:
tests/cli/test_config_fuzz.py.)"""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dvabatch_cli.config import Config, ConfigError, config_folders
from dvabatch_cli.config.document import parse_document
from dvabatch_cli.config.validate import build
from tests.fuzz.damage import damaged_bytes

NAMES = ("demo", "faults", "bert_base_table", "changing_unet_table")


@cache
def texts() -> dict[str, bytes]:
    return {name: (config_folders()[-2] / f"{name}.json").read_bytes() for name in NAMES}


@given(st.data())
@settings(max_examples=120)
def test_a_damaged_text_is_a_config_or_refused_with_its_place(data: st.DataObject) -> None:
    text = data.draw(damaged_bytes(texts()[data.draw(st.sampled_from(NAMES))]))
    try:
        config = build(parse_document(text, "x.json"), config_folders()[-2])
    except ConfigError as error:
        lines = str(error).splitlines()
        assert len(lines) == len(error.problems) > 0
        assert all(line.startswith("x.json") and line.isprintable() for line in lines)
        return
    assert isinstance(config, Config)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_hides_behind_a_zero_byte(name: str) -> None:
    text = texts()[name]
    line = text.count(b"\n") + 1
    with pytest.raises(ConfigError, match=rf"x\.json:{line}: got a zero byte"):
        parse_document(text + b'\0{"name": "other"}', "x.json")
