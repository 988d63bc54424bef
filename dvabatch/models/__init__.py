"""The networks of the paper as ONNX, written by us, with random weights from a seed."""

from dvabatch.models.errors import ModelError
from dvabatch.models.registry import Network, build_network, write_network

__all__ = ["ModelError", "Network", "build_network", "write_network"]
