"""Which file a name means."""

from pathlib import Path

import pytest

from dvabatch_cli.config import ConfigError, config_folders, find_config, load_config
from dvabatch_cli.config import find as find_module

SMALL = """{ "name": "%s", "model": { "network": "tiny_resnet" },
  "policies": [ { "scheduler_type": "NORMAL" } ], "load": { "utilization": 0.5 } }"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a configs/ of its own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "mine.json").write_text(SMALL % "mine")
    return tmp_path


def message(name: str | Path) -> str:
    with pytest.raises(ConfigError) as caught:
        find_config(name)
    return str(caught.value)


@pytest.mark.parametrize("name", ["mine", "mine.json", "configs/mine.json"])
def test_a_name_or_a_path_is_found(here: Path, name: str) -> None:
    assert load_config(name).name == "mine"
    assert load_config(here / "configs" / "mine.json").folder == here / "configs"


def test_a_path_that_exists_comes_first(here: Path) -> None:
    (here / "mine.json").write_text(SMALL % "nearer")
    assert load_config("mine.json").name == "nearer"
    assert load_config("mine").name == "mine"


def test_names_are_looked_up_in_the_working_folder_first(here: Path) -> None:
    (here / "configs" / "demo.json").write_text(SMALL % "mine")
    assert load_config("demo").name == "mine"
    assert load_config("resnet_152_04").name == "resnet_152_04"


def test_an_installation_has_its_own_configs(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = here / "site-packages" / "dvabatch_cli"
    (package / "configs").mkdir(parents=True)
    (package / "configs" / "packed.json").write_text(SMALL % "packed")
    (here / "site-packages" / "configs").mkdir()
    (here / "site-packages" / "configs" / "stranger.json").write_text(SMALL % "stranger")
    monkeypatch.setattr(find_module, "_PACKAGE", package)
    assert config_folders() == (Path("configs"), package / "configs")
    assert load_config("packed.json").name == "packed"
    assert "no such file" in message("stranger")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("resnet_152_4", "resnet_152_4: got no such file, wanted a config in configs, "),
        ("resnet_152_4.json", 'did you mean "resnet_152_04"?'),
        ("configs/mien.json", 'wanted the path of a config: did you mean "mine"?'),
        ("configs", "configs: got a folder"),
        ("zzzzzz", "known are auto_bert_base_table, auto_resnet_152_table, "),
        ("../configs/mine", "wanted the path of a config"),
        ("", "wanted the path of a config"),
        ("a\0b", "got no such file"),
    ],
)
@pytest.mark.usefixtures("here")
def test_a_missing_config_is_refused_with_the_nearest_name(name: str, text: str) -> None:
    assert text in message(name)


def test_a_missing_file_of_a_config_is_named_with_its_line(here: Path) -> None:
    path = here / "configs" / "table.json"
    path.write_text((SMALL % "t").replace("}", '},\n "engine": { "backend": "table", "table": "t.json" }', 1))
    with pytest.raises(ConfigError, match=r'table\.json:2: engine\.table: got "t\.json", wanted an existing file'):
        load_config(path)
    (here / "configs" / "t.json").touch()
    assert load_config(path).table_path == here / "configs" / "t.json"
