"""What a volume of data takes: throughput measured here, and the arithmetic from it to cores, memory and files.

`measure` runs the real job on invented data; `model` is pure arithmetic, every step of it told.
"""
