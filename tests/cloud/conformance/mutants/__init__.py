"""For every row at least one change that breaks it, and that its check must find."""

from . import access, data, flow, network, watching
from .draft import MUTANTS, Draft, Mutant

__all__ = ["MUTANTS", "Draft", "Mutant", "access", "data", "flow", "network", "watching"]
