"""Parameters, where a template has any."""

from __future__ import annotations

from collections.abc import Iterator

from tapehouse.cloud.conformance.registry import absent, check
from tapehouse.cloud.conformance.stacks import Stacks

_BOUNDS = ("AllowedPattern", "AllowedValues", "MinValue", "MaxValue", "MinLength", "MaxLength")


@check("B43")
def parameters_are_bounded_and_explained(stacks: Stacks) -> Iterator[str]:
    """Where choices are parameters; elsewhere they are settings, typed and bounded before synthesis."""
    found = [
        (stack, name, one) for stack, t in stacks.templates.items() for name, one in t.get("Parameters", {}).items()
    ]
    yield from absent(found, "parameter")
    for stack, name, one in found:
        if not one.get("Type") or not any(bound in one for bound in _BOUNDS):
            yield f"{stack}.{name}: not bounded"
        elif not one.get("ConstraintDescription"):
            yield f"{stack}.{name}: does not say what is allowed"


@check("B44")
def parameters_are_grouped(stacks: Stacks) -> Iterator[str]:
    for stack, template in stacks.templates.items():
        interface = template.get("Metadata", {}).get("AWS::CloudFormation::Interface", {})
        grouped = {name for group in interface.get("ParameterGroups", []) for name in group.get("Parameters", [])}
        for name in template.get("Parameters", {}):
            if name not in grouped or name not in interface.get("ParameterLabels", {}):
                yield f"{stack}.{name}: neither grouped nor labelled"
    yield from absent([one for one in stacks.templates.values() if one.get("Parameters")], "parameter")
