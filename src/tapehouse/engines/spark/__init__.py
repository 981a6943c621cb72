"""Spark schedules and shuffles; rows never leave Arrow, and no Spark function ever judges one.

May call: kernel, feeds, contracts, reference, and pyspark, which the extra `spark` installs.
"""
