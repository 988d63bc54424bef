"""For all tests: properties are never timed, and CI draws the same examples each time."""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("dvabatch", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("dvabatch")
