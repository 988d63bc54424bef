"""What can go wrong when a network is asked for."""


class ModelError(ValueError):
    """An unknown network, or one asked for with a shape or seed that it cannot have."""
