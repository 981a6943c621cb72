"""The command-line reference, written from the commands themselves: never edit docs/cli.md by hand."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from enum import Enum
from typing import Any

HEAD = """# Command line

Written from the program by `make docs`; the test suite fails when the two differ. What each exit code means is in
[exit-codes.md](exit-codes.md).
"""


def cli_reference(app: Any, program: str = "tapehouse") -> str:
    """Markdown for a Typer app: one section per command, depth first, in the order of the help text."""
    from typer.main import get_command

    root = get_command(app)
    context = root.make_context(program, [], resilient_parsing=True)
    commands = list(_walk(root, context, program))
    contents = [f"- [`{name}`](#{_anchor(name)}): {_first_sentence(command.help)}" for name, command, _ in commands[1:]]
    sections = [_section(*entry) for entry in commands]
    return "\n".join([HEAD, *contents, "", *sections]).rstrip() + "\n"


def _walk(command: Any, context: Any, name: str) -> Iterator[tuple[str, Any, Any]]:
    yield name, command, context
    if not hasattr(command, "list_commands"):
        return
    for child_name in command.list_commands(context):
        child = command.get_command(context, child_name)
        if child is None or child.hidden:
            continue
        child_context = child.make_context(child_name, [], parent=context, resilient_parsing=True)
        yield from _walk(child, child_context, f"{name} {child_name}")


def _section(name: str, command: Any, context: Any) -> str:
    shown = [parameter for parameter in command.params if not getattr(parameter, "hidden", False)]
    arguments = [parameter for parameter in shown if parameter.param_type_name == "argument"]
    options = [parameter for parameter in shown if parameter.param_type_name == "option"]
    usage = [name, *(_argument_usage(argument) for argument in arguments)]
    if options:
        usage.insert(1, "[OPTIONS]")
    if hasattr(command, "list_commands"):
        usage.append("COMMAND")
    parts = [f"## {name}\n", f"```\n{' '.join(usage)}\n```\n"]
    if command.help:
        parts.append(_examples(_plain(command.help)) + "\n")
    if getattr(command, "deprecated", False):
        parts.append("Deprecated.\n")
    parts += _table("Argument", arguments, context) + _table("Option", options, context)
    return "\n".join(parts)


def _table(title: str, parameters: list[Any], context: Any) -> list[str]:
    if not parameters:
        return []
    rows = [f"| {title} | Value | Default | What it does |", "|---|---|---|---|"]
    for parameter in parameters:
        names = parameter.opts + parameter.secondary_opts if title == "Option" else [_argument_usage(parameter)]
        cells = [", ".join(f"`{n}`" for n in names), _value(parameter, context), _default(parameter), _help(parameter)]
        rows.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    return ["\n".join(rows) + "\n"]


def _argument_usage(argument: Any) -> str:
    name = (argument.metavar or argument.name.upper()).strip("[].")
    name += "..." if argument.nargs != 1 else ""
    return name if argument.required else f"[{name}]"


# Names of Python types as a reader of the command line would call them.
_TYPES = {"str": "text", "int": "integer", "int range": "integer", "float range": "float", "Path": "path"}


def _value(parameter: Any, context: Any) -> str:
    if getattr(parameter, "is_flag", False):
        return "flag"
    type_name = re.sub(r"^list\[(.*)\]$", r"\1", parameter.display_type(context).strip("<>"))
    if parameter.type_descriptor.is_choice:
        text = ", ".join(f"`{choice}`" for choice in type_name.split("|"))
    elif parameter.metavar and parameter.param_type_name == "option":
        text = parameter.metavar
    else:
        text = _TYPES.get(type_name, type_name)
    return f"{text}, repeatable" if parameter.multiple or parameter.nargs == -1 else text


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    shown = getattr(parameter, "show_default", None)
    if isinstance(shown, str):  # the author's own words for a default that is computed
        return shown
    default = parameter.default
    if callable(default) or default is None or repr(default).startswith("Sentinel."):
        return ""
    if isinstance(default, (list, tuple)):
        return ", ".join(f"`{item}`" for item in default)
    if isinstance(default, bool) and not default:
        return "off" if not parameter.secondary_opts else "`" + parameter.secondary_opts[0] + "`"
    if isinstance(default, bool):
        return f"`{parameter.opts[0]}`"
    value = default.value if isinstance(default, Enum) else default
    return f"`{value}`" if str(value) else ""


def _help(parameter: Any) -> str:
    text = _plain(parameter.help or "").replace("\n", " ").removesuffix(" Repeatable.")
    if getattr(parameter, "envvar", None):
        names = [parameter.envvar] if isinstance(parameter.envvar, str) else list(parameter.envvar)
        text += f" Environment: {', '.join(f'`{name}`' for name in names)}."
    return text.strip()


def _plain(text: str) -> str:
    """Help text without the marks that only a terminal understands: \\b, \\f and Rich's [bold]...[/bold]."""
    text = inspect.cleandoc(text.split("\f", 1)[0]).replace("\b\n", "")
    return re.sub(r"\[/?(?:bold|dim|italic|cyan|green|yellow|red)\]", "", text).strip()


def _examples(text: str) -> str:
    """Help text with its indented examples as a block of code."""
    return re.sub(
        r"^Examples?:\n((?:[ \t]+\S.*(?:\n|$))+)",
        lambda found: f"```\n{inspect.cleandoc(found[1])}\n```",
        text,
        flags=re.MULTILINE,
    )


def _first_sentence(text: str | None) -> str:
    paragraph = " ".join(_plain(text or "").split("\n\n", 1)[0].split())
    return re.split(r"(?<=[.!?])\s", paragraph, maxsplit=1)[0].rstrip(".")


def _anchor(heading: str) -> str:
    return re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
