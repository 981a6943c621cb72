"""A run: discover batches, have the kernel judge them, write, prove, publish, and everything one does with runs after.

May call: engines, kernel, lake, feeds, contracts, reference, observe. Knows no command line and no cloud.
"""
