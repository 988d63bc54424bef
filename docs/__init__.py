"""The user's guide, and what draws its figures: `python -m docs`."""
