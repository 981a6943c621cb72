"""The command line: one module per group of commands, each a thin layer over `tapehouse.api`.

What may live here: arguments, output and exit codes. Nothing that decides what happens to data. A module imports only
typer and the standard library at its top; everything else is imported by the command that needs it, so that `--help`
answers at once.
"""
