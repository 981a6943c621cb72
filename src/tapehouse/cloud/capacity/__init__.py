"""From a volume a day to shards, concurrency, workers and a monthly bill, each with its arithmetic. The templates take
their numbers from here.
"""
