"""For all tests: properties are never timed, and draw the same examples each time.

`HYPOTHESIS_PROFILE=explore` draws others with every run: for hunting, where a find is welcome.
"""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("dvabatch", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dvabatch"))
