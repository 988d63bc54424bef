"""Which file a config's name means."""

from pathlib import Path

from dvabatch_cli.config.error import ConfigError, Problem
from dvabatch_cli.config.suggest import did_you_mean

_PACKAGE = Path(__file__).resolve().parents[1]


def config_folders() -> tuple[Path, ...]:
    """Where bare names are looked up, in this order: ./configs, the checkout's configs, those of the installation."""
    checkout = _PACKAGE.parent
    folders = [Path("configs")]
    if (checkout / "pyproject.toml").is_file():  # installed, the package's parent is a folder of strangers
        folders.append(checkout / "configs")
    return (*folders, _PACKAGE / "configs")


def find_config(name_or_path: str | Path) -> Path:
    """The config file that is meant: a path that exists, else a bare name, with or without ".json", in a folder of
    `config_folders`. Raises ConfigError with the nearest names."""
    text = str(name_or_path)
    path = Path(text)
    if "\0" not in text and path.is_file():
        return path
    bare = bool(text) and path.name == text
    folders = config_folders() if bare else (path.parent,)
    for folder in folders if bare and "\0" not in text else ():
        for name in (text, f"{text}.json"):
            if (folder / name).is_file():
                return folder / name
    known = _names(folders)
    near = did_you_mean(path.name.removesuffix(".json"), known)
    hint = near or (f"known are {', '.join(known)}" if known else "")
    wanted = f"a config in {', '.join(map(str, folders))}, or a path" if bare else "the path of a config"
    came = "a folder" if "\0" not in text and path.is_dir() else "no such file"
    raise ConfigError([Problem(text, "", came, wanted, hint)])


def _names(folders: tuple[Path, ...]) -> list[str]:
    try:
        return sorted({file.stem for folder in folders for file in folder.glob("*.json")})
    except ValueError:  # a path with a zero byte
        return []
