"""What the command line returns where no error class says so; errors carry their own `exit_code`."""

from __future__ import annotations

OK = 0
# The command did its work, and what it found is not well: verify, contract diff, score.
FINDINGS = 1
USAGE = 2
# A run that broke a budget or a batch rule: nothing was published, and nothing failed either.
STOPPED = 8
# sysexits.h EX_SOFTWARE: an error that is none of ours is a fault of the program.
INTERNAL = 70
# 128 + the signal's number, as shells do it.
INTERRUPTED = 130
BROKEN_PIPE = 141
TERMINATED = 143
