"""Typed configs: JSON with comments in, one frozen `Config` out, or one `ConfigError` with all that is wrong."""

from dvabatch_cli.config.config import Config
from dvabatch_cli.config.error import ConfigError, Problem
from dvabatch_cli.config.find import config_folders, find_config
from dvabatch_cli.config.open import config_of, load_config

__all__ = ["Config", "ConfigError", "Problem", "config_folders", "config_of", "find_config", "load_config"]
