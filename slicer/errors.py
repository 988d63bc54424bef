"""What can go wrong while slicing, as a sentence: what came, what was wanted, what to do."""

from __future__ import annotations


class SliceError(ValueError):
    """A model, an option or a folder that cannot be sliced or trusted as it is."""


class ManifestError(SliceError):
    """A folder of stages whose `stages.json` is missing, malformed or does not match its files."""
