"""Draws every figure of the guide anew."""

from __future__ import annotations

from docs import query_life, state_diagram

for module in (state_diagram, query_life):
    module.FILE.parent.mkdir(exist_ok=True)
    module.FILE.write_text(module.draw())
    print(module.FILE)
