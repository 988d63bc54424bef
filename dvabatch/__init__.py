"""Multi-entry multi-exit batching for DNN services: the machine, its drivers, load and reports."""

from dvabatch.compiled import check_compiled

__version__ = "0.1.0"

check_compiled()
