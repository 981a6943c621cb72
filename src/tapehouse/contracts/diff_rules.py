"""Changes of rules: which are stricter, which weaker, where a comparison with a constant tells."""

from __future__ import annotations

from collections.abc import Iterator

from tapehouse.contracts.expr import All, AnyOf, Compare, Expr, InSet, Lit, Not
from tapehouse.contracts.expr_print import unparse
from tapehouse.contracts.model import BatchRule, Contract, RowRule, Severity
from tapehouse.contracts.show import scope_of

Facts = tuple[str, bool, str, object, object]
"""Path, whether it breaks, reason, old and new."""

STRICTER = "stricter: rows that were accepted may now be refused"
WEAKER = "weaker: readers may now meet rows that were refused"


def rule_changes(old: Contract, new: Contract) -> Iterator[Facts]:
    """Facts of every rule that was added, removed or changed."""
    before, after = _by_code(old), _by_code(new)
    texts = [{rule.code: unparse(rule.broken, scope_of(c)) for rule in c.rules} for c in (old, new)]
    implied_old, implied_new = _gone(old, new), _gone(new, old)
    for code, rule in before.items():
        path = f"rules.{code}"
        if code not in after:
            if not (isinstance(rule, RowRule) and code in implied_old):
                rejects = rule.severity == Severity.REJECT
                reason = f"rule removed, {WEAKER}" if rejects else "warning removed"
                yield path, rejects, reason, texts[0].get(code, rule.kind), None
        else:
            yield from _changed(path, rule, after[code], texts[0].get(code), texts[1].get(code))
    for code, rule in after.items():
        if code not in before and not (isinstance(rule, RowRule) and code in implied_new):
            rejects = rule.severity == Severity.REJECT
            reason = f"rule added, {STRICTER}" if rejects else "warning added"
            yield f"rules.{code}", rejects, reason, None, texts[1].get(code, rule.kind)


def _by_code(contract: Contract) -> dict[str, RowRule | BatchRule]:
    found: dict[str, RowRule | BatchRule] = {rule.code: rule for rule in contract.rules}
    return found | {rule.code: rule for rule in contract.batch_rules}


def _gone(contract: Contract, other: Contract) -> set[str]:
    """Codes of implied rules on columns that `other` does not have: the column's own change says it all."""
    names = {column.name for column in other.columns}
    return {
        f"{column.name.lower()}_{suffix}"
        for column in contract.columns
        if column.name not in names
        for suffix in ("missing", "invalid", "not_unique")
    }


def _changed(
    path: str, old: RowRule | BatchRule, new: RowRule | BatchRule, old_text: str | None, new_text: str | None
) -> Iterator[Facts]:
    if old.severity != new.severity:
        reason = STRICTER if new.severity == Severity.REJECT else WEAKER
        yield f"{path}.severity", True, reason, str(old.severity), str(new.severity)
    rejects = Severity.REJECT in (old.severity, new.severity)
    if isinstance(old, RowRule) and isinstance(new, RowRule):
        if old.broken != new.broken:
            yield path, rejects, _direction(old.broken, new.broken), old_text, new_text
        if old.budget != new.budget:
            yield f"{path}.budget", False, "share of rows that stops a run", old.budget, new.budget
    elif isinstance(old, BatchRule) and isinstance(new, BatchRule):
        if (old.kind, dict(old.params)) != (new.kind, dict(new.params)):
            yield path, rejects, "rule changed: batches may be judged otherwise", dict(old.params), dict(new.params)
    else:
        yield path, rejects, "rule of rows became one of batches, or the reverse", old.kind, new.kind


def _direction(old: Expr, new: Expr) -> str:
    """Whether `new` is broken by more rows than `old`, in words."""
    more = _broken_more(old, new)
    if more is None:
        return "rule changed: rows may be judged otherwise"
    return STRICTER if more else WEAKER


def _broken_more(old: Expr, new: Expr) -> bool | None:
    """True where the condition holds for more rows, False for fewer, None where it cannot be told."""
    if isinstance(old, Not) and isinstance(new, Not):
        inner = _broken_more(old.operand, new.operand)
        return None if inner is None else not inner
    if isinstance(old, AnyOf | All) and type(old) is type(new) and isinstance(new, AnyOf | All):
        changed = [(a, b) for a, b in zip(old.operands, new.operands, strict=False) if a != b]
        alike = len(old.operands) == len(new.operands) and len(changed) == 1
        return _broken_more(*changed[0]) if alike else None
    if isinstance(old, InSet) and isinstance(new, InSet) and old.operand == new.operand:
        one, other = set(old.values), set(new.values)
        return True if one < other else False if other < one else None
    if not (isinstance(old, Compare) and isinstance(new, Compare) and old.left == new.left):
        return None
    if not (isinstance(old.right, Lit) and isinstance(new.right, Lit)) or old.op[0] != new.op[0]:
        return None
    one_value, other_value = old.right.value, new.right.value
    if isinstance(one_value, str) or isinstance(other_value, str) or old.op[0] not in "<>":
        return None
    if one_value == other_value:
        return len(new.op) > len(old.op)
    return (other_value > one_value) == (old.op[0] == "<")
