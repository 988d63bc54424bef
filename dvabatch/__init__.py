"""Multi-entry multi-exit batching for DNN services: the machine, its drivers, load and reports."""

__version__ = "0.1.0"
