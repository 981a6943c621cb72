"""What AWS would answer: policies evaluated by its documented rules, and templates read as CloudFormation reads them.

Pure functions over dictionaries: no credentials, no network, no CDK. `evaluate` asks one question of one template;
`Account` holds several stacks and answers many.
"""

from tapehouse.cloud.policy.account import Account, Permit, evaluate
from tapehouse.cloud.policy.decide import Decision, Policies, decide
from tapehouse.cloud.policy.documents import Document, PolicyError, Statement
from tapehouse.cloud.policy.replay import Call, denied, idle
from tapehouse.cloud.policy.request import Caller, Request
from tapehouse.cloud.policy.resolve import Place, Resolver

__all__ = [
    "Account",
    "Call",
    "Caller",
    "Decision",
    "Document",
    "Permit",
    "Place",
    "Policies",
    "PolicyError",
    "Request",
    "Resolver",
    "Statement",
    "decide",
    "denied",
    "evaluate",
    "idle",
]
