"""The JSON Schema of configs, for editors: `python -m dvabatch_cli.config.schema > configs/schema/config.schema.json`."""

import json
import sys
from typing import Any

from dvabatch_cli.config.config import Config

# Options that validation fills in from other values: required in a validated config, not in a file.
_FILLED_IN = frozenset({"name", "max_batch_size", "max_allow_merge_batchsize"})


def config_schema() -> dict[str, Any]:
    """The schema, made from the sections. It cannot say what concerns several values at once: `load_config` can."""
    schema = Config.model_json_schema(by_alias=True)
    for section, definition in schema["$defs"].items():
        required = set(definition.get("required", ()))
        if section.endswith("Options"):
            required -= _FILLED_IN
        if section == "PoissonLoad":  # the process that is meant where none is given
            required -= {"process"}
        definition["required"] = [name for name in definition["properties"] if name in required]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def schema_text() -> str:
    """The text of configs/schema/config.schema.json."""
    return json.dumps(config_schema(), indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema_text())
