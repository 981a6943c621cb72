"""What deploying an assembly would change, and what each change puts at risk."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tapehouse.cloud.deploy.assembly import Assembly, StackArtifact
from tapehouse.cloud.deploy.deploying import check_place
from tapehouse.cloud.deploy.durability import losses
from tapehouse.cloud.deploy.errors import AssemblyError
from tapehouse.cloud.deploy.exposure import widened
from tapehouse.cloud.deploy.findings import ORDER, Finding, Risk
from tapehouse.cloud.deploy.replacements import replaces
from tapehouse.cloud.deploy.spending import dearer
from tapehouse.cloud.deploy.stacks import find
from tapehouse.cloud.deploy.target import Target, told
from tapehouse.cloud.deploy.templates import Edit, Resource, Template, resources
from tapehouse.errors import UsageError


@dataclass(frozen=True, slots=True)
class StackDifference:
    """A stack. `action` is create, update or none; of a stack to be created, `findings` has what costs only: there is
    nothing that could be lost, and nobody who may do more than before."""

    stack: str
    action: str
    findings: tuple[Finding, ...]
    resources: int

    @property
    def worst(self) -> Risk:
        """Of an empty difference too: harmless."""
        return min((finding.risk for finding in self.findings), key=ORDER.index, default=Risk.HARMLESS)

    def counts(self) -> dict[str, int]:
        """Findings by risk, worst first, zeros included."""
        return {risk.value: sum(finding.risk is risk for finding in self.findings) for risk in ORDER}

    def as_dict(self) -> dict[str, Any]:
        return {
            "stack": self.stack,
            "action": self.action,
            "resources": self.resources,
            "worst": self.worst.value,
            "risks": self.counts(),
            "findings": [finding.as_dict() for finding in self.findings],
        }


@dataclass(frozen=True, slots=True)
class Difference:
    """All stacks of an assembly, in the order of their deployment."""

    stacks: tuple[StackDifference, ...]

    @property
    def changed(self) -> bool:
        return any(stack.action != "none" for stack in self.stacks)

    @property
    def worst(self) -> Risk:
        return min((stack.worst for stack in self.stacks), key=ORDER.index, default=Risk.HARMLESS)

    @property
    def changes(self) -> tuple[Finding, ...]:
        """The findings of all stacks, worst first within each."""
        return tuple(finding for stack in self.stacks for finding in stack.findings)

    def has(self, risk: str) -> bool:
        """Whether there is a finding of that risk. UsageError where there is no such risk."""
        if risk not in ORDER:
            raise UsageError(f"no risk {risk!r}", fix=f"one of: {', '.join(ORDER)}")
        return any(finding.risk == risk for finding in self.changes)

    def as_dict(self) -> dict[str, Any]:
        return {
            "changed": self.changed,
            "worst": self.worst.value,
            "stacks": [stack.as_dict() for stack in self.stacks],
        }


@told
def diff(assembly: Path, *, session: Any = None, endpoint: str | None = None, region: str | None = None) -> Difference:
    """Compare an assembly with what is deployed. Nothing is changed, and no change set is made.

    AssemblyError when the folder is at fault, DeploymentError when AWS does not tell.
    """
    target = Target.of(session=session, endpoint=endpoint, region=region)
    found = []
    for stack in Assembly.read(assembly).stacks:
        check_place(stack, target)
        found.append(compare_templates(_deployed(target, stack), json.loads(stack.body()), stack.name))
    return Difference(tuple(found))


def compare(before: Path, after: Path) -> Difference:
    """Compare two assemblies, stack by stack, by their names; nobody is asked. AssemblyError as in `diff`."""
    old = {stack.name: json.loads(stack.body()) for stack in Assembly.read(before).stacks}
    new = {stack.name: json.loads(stack.body()) for stack in Assembly.read(after).stacks}
    names = [*new, *(name for name in old if name not in new)]
    return Difference(tuple(compare_templates(old.get(name), new.get(name, {}), name) for name in names))


def compare_templates(before: Template | None, after: Template, stack: str = "") -> StackDifference:
    """Compare two templates; `before` is None where there is no stack yet. Findings come worst first."""
    if before is None:
        made = resources({}, after)
        found = [replace(finding, stack=stack) for one in made for finding in dearer(one)]
        return StackDifference(stack, "create", tuple(found), len(made))
    changed = resources(before, after)
    found = [finding for one in changed for finding in _findings(one)]
    found = [replace(finding, stack=stack) for finding in [*found, *_outputs(before, after)]]
    found.sort(key=lambda finding: (ORDER.index(finding.risk), finding.resource, finding.path))
    return StackDifference(stack, "update" if found else "none", tuple(found), len(changed))


def _findings(resource: Resource) -> Iterator[Finding]:
    told = [*losses(resource), *widened(resource), *_replaced(resource), *dearer(resource)]
    yield from told
    named = {finding.path for finding in told}
    if resource.action != "modify":
        if not told:
            yield _finding(Risk.HARMLESS, resource, "is added" if resource.action == "add" else "is removed")
        return
    for edit in resource.edits:
        if not any(edit.text == path or edit.text.startswith(f"{path}.") for path in named):
            yield _finding(Risk.HARMLESS, resource, "is changed in place", edit)


def _replaced(resource: Resource) -> Iterator[Finding]:
    for edit in resource.edits:
        if edit.path == ("Type",):
            yield _finding(Risk.REPLACEMENT, resource, f"a {edit.before} becomes a {edit.after}", edit)
            return
    for edit in resource.edits:
        answer = replaces(resource.type, edit.within)
        if answer != "never":
            why = "cannot be changed in place: a new one is made, and the old one goes"
            yield _finding(Risk.REPLACEMENT, resource, why if answer == "always" else f"in some cases {why}", edit)


def _finding(risk: Risk, resource: Resource, why: str, edit: Edit | None = None) -> Finding:
    path, before, after = (edit.text, edit.before, edit.after) if edit is not None else ("", None, None)
    return Finding(risk, resource.id, resource.type, resource.action, path, why, before, after)


def _outputs(before: Template, after: Template) -> Iterator[Finding]:
    old, new = before.get("Outputs") or {}, after.get("Outputs") or {}
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            action = "modify" if name in old and name in new else "add" if name in new else "remove"
            why = {"modify": "an output changes", "add": "an output is added", "remove": "an output is gone"}[action]
            yield Finding(Risk.HARMLESS, name, "Output", action, "", why, old.get(name), new.get(name))


def _deployed(target: Target, stack: StackArtifact) -> Template | None:
    """The template that is deployed; None where nothing is."""
    existing = find(target, stack.name)
    if existing is None or existing.status in ("REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE"):
        return None
    answer = target.client("cloudformation").get_template(StackName=stack.name, TemplateStage="Original")
    body = answer["TemplateBody"]
    # boto3 reads JSON; YAML it leaves as text.
    if not isinstance(body, Mapping):
        raise AssemblyError(
            f"{stack.name}: what is deployed under this name was not made by synthesis", fix="choose another suffix"
        )
    return body
