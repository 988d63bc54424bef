"""Drives the machine: in real time on threads, or in virtual time on a profile."""

from dvabatch.runtime.service import Runtime
from dvabatch.runtime.table import table_stages

__all__ = ["Runtime", "table_stages"]
