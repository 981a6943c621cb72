"""Words of the command line into values without pydantic, by which typer does it: that would cost a short run a tenth
of its time. Only what is plain is done here, the rest is left to typer, errors among it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

_UNKNOWN = object()


def spare_pydantic(parameters: Iterable[Any]) -> None:
    """Let those parameters of a command that are flags, text, lists of text or paths be read here."""
    for parameter in parameters:
        kind = getattr(getattr(parameter, "type_descriptor", None), "annotation", None)
        usual = parameter.process_value
        if kind in (bool, str, Path, list[str]) and _free(parameter) and not isinstance(usual, partial):
            parameter.process_value = partial(_process, parameter, kind, usual)


def _free(parameter: Any) -> bool:
    """Whether any text will do for the parameter."""
    info = parameter.type_descriptor.parameter_info
    asked = (info.parser, info.path_type, info.exists, info.writable, info.resolve_path, info.allow_dash)
    return not any(asked) and info.file_okay and info.dir_okay


def _process(parameter: Any, kind: Any, usual: Callable[[Any, Any], Any], ctx: Any, value: Any) -> Any:
    found = _absent(parameter) if value is None else _plain(kind, value)
    if found is _UNKNOWN:
        return usual(ctx, value)
    return found if parameter.callback is None else parameter.callback(ctx, parameter, found)


def _absent(parameter: Any) -> Any:
    if parameter.required:
        return _UNKNOWN
    return () if parameter.multiple or parameter.nargs == -1 else None


def _plain(kind: Any, value: Any) -> Any:
    if kind is Path and isinstance(value, str | Path):
        return Path(value) if os.access(value, os.R_OK) or not os.path.lexists(value) else _UNKNOWN
    if kind is str and isinstance(value, str):
        return value
    if kind == list[str] and value and isinstance(value, list | tuple) and all(isinstance(one, str) for one in value):
        return list(value)
    return _UNKNOWN
