"""AWS's services that are called from within a VPC, by the names of their endpoint services (PrivateLink)."""

from __future__ import annotations

GATEWAYS = ("dynamodb", "s3")
"""Reached by routes, which cost nothing."""

# Reached by interfaces, in each private subnet, billed by the hour. By what calls them.
COMMON = ("kms", "logs", "monitoring", "secretsmanager", "sts")
MESSAGES = ("sns", "sqs")
JOBS = ("glue", "lambda")
STREAMS = ("kinesis-streams",)
QUERIES = ("athena",)
CLUSTERS = ("elasticmapreduce", "states")
MARKET_STREAM = (*COMMON, *MESSAGES, *JOBS, *STREAMS)
SERVERLESS_LAKE = (*COMMON, *MESSAGES, *JOBS, *QUERIES)

KNOWN = frozenset({*GATEWAYS, *COMMON, *MESSAGES, *JOBS, *STREAMS, *QUERIES, *CLUSTERS})
