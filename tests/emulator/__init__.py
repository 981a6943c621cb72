"""AWS for tests, on this machine alone: ministack in a process of its own, extended where it falls short of what
Tapehouse deploys. What really runs and what is only recorded stands in README.md; what differs from AWS, for the
templates we deploy, in differences.py.
"""

from emulator.client import Emulator
from emulator.recording import Call

__all__ = ["Call", "Emulator"]
