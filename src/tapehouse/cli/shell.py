"""The frame around every command: errors become a message, a way out and an exit code, and never a traceback."""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import Any

import typer
from typer.core import TyperGroup
from typer.exceptions import Abort, TyperException

from tapehouse.cli import exits
from tapehouse.cli.words import spare_pydantic
from tapehouse.errors import TapehouseError

DEBUG = "--debug"
# Hardly anything that commands make is circular garbage; the imports alone are 100,000 objects to look through.
_GARBAGE = (1_000_000, 20, 100)


class _ReaderGoneError(Exception):
    """Standard output is a pipe that nobody reads any more; no OSError, which typer would answer itself."""


class Program(typer.Typer):
    """The program; called as such it makes only the command that its words name, for making all takes longer."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command line and end the process."""
        if not args and not kwargs:
            gc.set_threshold(*_GARBAGE)
            word = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
            commands = [one for one in self.registered_commands if one.callback and one.callback.__name__ == word]
            groups = [one for one in self.registered_groups if one.name == word]
            if commands or groups:
                self.registered_commands, self.registered_groups = commands, groups
        try:
            return super().__call__(*args, **kwargs)
        finally:
            _leave()


class Shell(TyperGroup):
    """The root command."""

    def get_params(self, ctx: Any) -> Any:
        """The options of the program itself."""
        found = super().get_params(ctx)
        spare_pydantic(found)
        return found

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name, or None."""
        command = super().get_command(ctx, cmd_name)
        if command is not None:
            spare_pydantic(command.get_params(ctx))
        return command

    def invoke(self, ctx: Any) -> Any:
        """Run the command; a reader of our output that went away is told apart from other broken pipes here."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError as error:
            raise _ReaderGoneError from error
        return result

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command line; ends the process unless told otherwise, else returns the exit code."""
        words = list(sys.argv[1:] if args is None else args)
        options = words[: words.index("--")] if "--" in words else words
        debug = DEBUG in options
        if debug:  # wherever it stands: it is what one adds to a line that just failed
            words.remove(DEBUG)
        as_json = "--json" in options

        def work() -> Any:
            return super(Shell, self).main(
                words, prog_name, complete_var, standalone_mode=False, windows_expand_args=windows_expand_args, **extra
            )

        try:
            with _terminable():
                code = _outcome(work, as_json=as_json, debug=debug)
                sys.stdout.flush()
        except (_ReaderGoneError, BrokenPipeError):
            _forget_stdout()
            code = exits.BROKEN_PIPE
        if standalone_mode:
            sys.exit(code)
        return code


def _leave() -> None:
    """Let what is left end with the process: taking it apart first takes a fifth of a short run. Not with DuckDB, which
    reports whatever was not taken apart as leaked.
    """
    if "duckdb" not in sys.modules:
        gc.freeze()


def _outcome(work: Any, *, as_json: bool, debug: bool) -> int:
    try:
        result = work()
    except TapehouseError as error:
        _tell(error, _facts(error), error.exit_code, as_json=as_json, debug=debug)
        return error.exit_code
    except TyperException as error:
        return _usage(error, as_json=as_json)
    except (Abort, KeyboardInterrupt):
        result = exits.INTERRUPTED
    except (_ReaderGoneError, BrokenPipeError):
        raise
    except Exception as error:
        facts = {"type": type(error).__name__, "message": str(error), "fix": f"add {DEBUG} to see where it happened"}
        _tell(error, facts, exits.INTERNAL, as_json=as_json, debug=debug)
        return exits.INTERNAL
    code = result if isinstance(result, int) else exits.OK
    if code == exits.INTERRUPTED:
        _interrupted(as_json=as_json)
    return code


def _facts(error: TapehouseError) -> dict[str, Any]:
    """What `--json` says of an error: its kind, message, way out, and whatever the kind knows besides."""
    facts: dict[str, Any] = {"type": type(error).__name__, "message": error.message, "fix": error.fix}
    for name, value in vars(error).items():
        if name == "problems":
            facts[name] = [asdict(problem) for problem in value]
        elif name not in facts and isinstance(value, str | int | float | bool | None):
            facts[name] = value
    return facts


def _tell(error: Exception, facts: dict[str, Any], code: int, *, as_json: bool, debug: bool) -> None:
    if debug:
        import traceback

        traceback.print_exception(error, file=sys.stderr)
    if as_json:
        print(json.dumps({"error": {**facts, "exit_code": code}}, indent=2, default=str, ensure_ascii=False))
    elif not debug:
        kind = "" if code != exits.INTERNAL else f"{facts['type']}: "
        fix = f"\n  fix: {facts['fix']}" if facts["fix"] else ""
        print(f"error: {kind}{facts['message']}{fix}", file=sys.stderr)


def _usage(error: TyperException, *, as_json: bool) -> int:
    """A command line that cannot be understood."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "tapehouse"
    if type(error).__name__ == "NoArgsIsHelpError":
        print(error.format_message())
        return exits.USAGE
    facts = {"type": "UsageError", "message": error.format_message(), "fix": f"see {command} --help"}
    _tell(error, facts, exits.USAGE, as_json=as_json, debug=False)
    return exits.USAGE


def _interrupted(*, as_json: bool) -> None:
    message = (
        "interrupted: nothing was published; a run that was already being committed is finished by the next writer"
    )
    facts = {"type": "Interrupted", "message": message, "fix": "run the command again"}
    _tell(KeyboardInterrupt(), facts, exits.INTERRUPTED, as_json=as_json, debug=False)  # type: ignore[arg-type]


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM unwinds like Ctrl-C, so that a run leaves the lake clean; the default would end the process at once."""

    def stop(_number: int, _frame: object) -> None:
        print("terminated: nothing was published", file=sys.stderr)
        raise SystemExit(exits.TERMINATED)

    try:
        before = signal.signal(signal.SIGTERM, stop)
    except ValueError:  # not the main thread: whoever embeds us handles signals
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _forget_stdout() -> None:
    """The reader of our output is gone; what Python would flush at exit must not complain."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
