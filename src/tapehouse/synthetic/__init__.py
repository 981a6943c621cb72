"""Invented tapes whose every fault is known, and the score of whoever judged them.

`trades` and `quotes` write CSV files together with the truth: which record of which file breaks which rule. Each row is
a pure function of (seed, position), so files of any size are written block by block in constant memory, and a copy of a
row can be placed in any other file without remembering the first one. `score` compares a run's findings to the truth.

Nothing here may import a feed, the kernel or a run: the truth must not be computed by the code it judges.
"""
