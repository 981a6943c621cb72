"""When a run must not publish: quarantine budgets of the contract and of its rules, and rules on whole batches."""

from __future__ import annotations

from collections.abc import Mapping

from tapehouse.contracts.model import Contract, Severity


def exceeded(contract: Contract, records: int, quarantined: int, rules: Mapping[str, int]) -> list[str]:
    """Budgets that the run exceeds, in words with the numbers; empty when it may publish.

    A budget is a share of the records read; reaching it exactly is allowed.
    """
    if not records:
        return []
    found = []
    if contract.budget is not None and quarantined > contract.budget * records:
        found.append(_sentence("quarantined rows", quarantined, records, contract.budget))
    for rule in contract.rules:
        count = rules.get(rule.code, 0)
        if rule.budget is not None and count > rule.budget * records:
            found.append(_sentence(f"rule {rule.code}", count, records, rule.budget))
    return found


def _sentence(what: str, count: int, records: int, budget: float) -> str:
    return f"{what}: {count:,} of {records:,} records ({count / records:.2%}), the budget is {budget:.2%}"


def by_severity(contract: Contract, counts: Mapping[str, int]) -> tuple[dict[str, int], dict[str, int]]:
    """Counts of rejecting rules and of warning rules, in the contract's order. A code that is no rule of the contract
    (a malformed record) rejects and comes last.
    """
    codes = [*(rule.code for rule in contract.rules), *(rule.code for rule in contract.batch_rules)]
    order = {code: index for index, code in enumerate(codes)}
    counts = dict(sorted(counts.items(), key=lambda item: (order.get(item[0], len(order)), item[0])))
    warning = {rule.code for rule in contract.rules if rule.severity == Severity.WARN}
    warning |= {rule.code for rule in contract.batch_rules if rule.severity == Severity.WARN}
    rejecting = {code: count for code, count in counts.items() if code not in warning}
    return rejecting, {code: count for code, count in counts.items() if code in warning}
