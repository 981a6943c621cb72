"""Tapehouse: one written contract in, an audited lake out."""

__version__ = "0.1.0"
