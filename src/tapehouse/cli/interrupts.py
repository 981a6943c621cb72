"""Ctrl-C in commands that work for long."""

from __future__ import annotations

import importlib
import signal
from contextlib import suppress


def hear_interrupts() -> None:
    """Make Ctrl-C raise KeyboardInterrupt, whatever is being computed.

    Importing Polars puts its own handler in the place of Python's, and that one drops an interrupt which arrives in the
    middle of a short computation: a run made of many of them can hardly be stopped. So import it, then take over again.
    """
    importlib.import_module("polars")
    with suppress(ValueError):  # not the main thread: whoever embeds us handles signals
        signal.signal(signal.SIGINT, signal.default_int_handler)
