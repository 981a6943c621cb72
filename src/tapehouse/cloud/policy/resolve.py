"""A template with its intrinsic functions answered, as far as that can be done without deploying."""

from __future__ import annotations

import base64
import ipaddress
import json
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

from tapehouse.cloud.policy.documents import PolicyError
from tapehouse.cloud.policy.physical import attribute_of, name_of, ref_of
from tapehouse.cloud.policy.place import Place

__all__ = ["Place", "Resolver", "mentioned"]

_SUB = re.compile(r"\$\{(!?)([^}]+)\}")
_NOTHING = object()


class Resolver:
    """Answers for one template in one place. Resources whose condition is false are not there."""

    def __init__(self, template: Mapping[str, Any], place: Place | None = None) -> None:
        self.template = template
        self.place = place or Place()
        self._pseudo = self.place.pseudo()
        self._conditions: dict[str, bool] = {}
        self._properties: dict[str, Mapping[str, Any]] = {}
        self._functions: Mapping[str, Callable[[Any], Any]] = {
            "Ref": self._ref,
            "Fn::GetAtt": self._get_att,
            "Fn::Sub": self._sub,
            "Fn::Join": lambda args: str(args[0]).join(map(str, self._list(args[1]))),
            "Fn::Select": self._select,
            "Fn::Split": lambda args: str(self._value(args[1])).split(args[0]),
            "Fn::If": self._if,
            "Fn::FindInMap": self._find_in_map,
            "Fn::ImportValue": self._import,
            "Fn::Base64": lambda args: base64.b64encode(str(self._value(args)).encode()).decode(),
            "Fn::GetAZs": lambda args: [f"{self._value(args) or self.place.region}{zone}" for zone in "abcdef"],
            "Fn::Cidr": self._cidr,
            "Fn::ToJsonString": lambda args: json.dumps(self._value(args), sort_keys=True),
            "Fn::Length": lambda args: len(self._list(args)),
        }

    # ---- what callers ask ------------------------------------------------------------------------------------------

    def value(self, value: Any) -> Any:
        """Any part of the template, resolved; None for AWS::NoValue."""
        found = self._value(value)
        return None if found is _NOTHING else found

    def exists(self, logical_id: str) -> bool:
        """Whether the resource is declared and its condition holds."""
        resource = self.template.get("Resources", {}).get(logical_id)
        return resource is not None and ("Condition" not in resource or self.condition(resource["Condition"]))

    def resources(self, *kinds: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """(logical id, declaration as written) of the resources of these types, or of all; in the template's order."""
        for logical_id, resource in self.template.get("Resources", {}).items():
            if (not kinds or resource["Type"] in kinds) and self.exists(logical_id):
                yield logical_id, resource

    def properties(self, logical_id: str) -> Mapping[str, Any]:
        """A resource's properties, resolved. Raises PolicyError when the resource is not there."""
        if not self.exists(logical_id):
            known = ", ".join(sorted(self.template.get("Resources", {}))[:8])
            raise PolicyError(f"no resource {logical_id!r} in the template", fix=f"name one of: {known}, ...")
        if logical_id not in self._properties:
            # Two resources that refer to each other (which CloudFormation refuses) must not make this endless.
            self._properties[logical_id] = {}
            written = self.template["Resources"][logical_id].get("Properties", {})
            self._properties[logical_id] = self.value(written) or {}
        return self._properties[logical_id]

    def condition(self, name: str) -> bool:
        """Whether a condition of the template holds."""
        if name not in self._conditions:
            conditions = self.template.get("Conditions", {})
            if name not in conditions:
                raise PolicyError(f"no condition {name!r} in the template", fix="declare it under Conditions")
            self._conditions[name] = self._truth(conditions[name])
        return self._conditions[name]

    # ---- intrinsic functions ---------------------------------------------------------------------------------------

    def _value(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            if len(value) == 1:
                ((name, args),) = value.items()
                if name in self._functions:
                    return self._functions[name](args)
            pairs = ((key, self._value(one)) for key, one in value.items())
            return {key: one for key, one in pairs if one is not _NOTHING}
        if isinstance(value, list):
            return [one for one in map(self._value, value) if one is not _NOTHING]
        return value

    def _list(self, value: Any) -> list[Any]:
        found = self._value(value)
        return found if isinstance(found, list) else [found]

    def _ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return _NOTHING
        if name in self._pseudo:
            return self._pseudo[name]
        if name in self.place.physical:
            return self.place.physical[name]
        if name in self.template.get("Parameters", {}):
            return self._parameter(name)
        kind, properties = self._declared(name)
        return ref_of(kind, name_of(kind, name, properties, self.place), properties, self.place)

    def _parameter(self, name: str) -> Any:
        declared = self.template["Parameters"][name]
        value = self.place.parameters.get(name, declared.get("Default", f"{name}.parameter"))
        listed = "List" in declared.get("Type", "") and isinstance(value, str)
        return value.split(",") if listed else value

    def _declared(self, name: str) -> tuple[str, Mapping[str, Any]]:
        resource = self.template.get("Resources", {}).get(name)
        if resource is None:
            raise PolicyError(
                f"{name!r} is neither a resource nor a parameter", fix="the template refers to what it lacks"
            )
        return resource["Type"], self.properties(name) if self.exists(name) else {}

    def _get_att(self, args: Any) -> Any:
        name, _, attribute = args.partition(".") if isinstance(args, str) else (args[0], "", str(self._value(args[1])))
        kind, properties = self._declared(name)
        known = self.place.physical.get(name, "")
        if known.startswith("arn:") and attribute.lower().endswith("arn"):
            return known
        return attribute_of(kind, attribute, name_of(kind, name, properties, self.place), properties, self.place)

    def _sub(self, args: Any) -> str:
        text, names = (args, {}) if isinstance(args, str) else (args[0], args[1])

        def replace(found: re.Match[str]) -> str:
            if found.group(1):
                return f"${{{found.group(2)}}}"
            name = found.group(2).strip()
            if name in names:
                return str(self._value(names[name]))
            return str(self._get_att(name) if "." in name else self._ref(name))

        return _SUB.sub(replace, text)

    def _select(self, args: list[Any]) -> Any:
        index, values = int(self._value(args[0])), self._list(args[1])
        if index >= len(values):
            raise PolicyError(f"Fn::Select {index} of {len(values)} values", fix="select one that is there")
        return values[index]

    def _if(self, args: list[Any]) -> Any:
        return self._value(args[1] if self.condition(args[0]) else args[2])

    def _find_in_map(self, args: list[Any]) -> Any:
        name, first, second = (self._value(one) for one in args[:3])
        try:
            return self._value(self.template["Mappings"][name][first][second])
        except KeyError:
            raise PolicyError(f"no mapping {name}.{first}.{second}", fix="declare it under Mappings") from None

    def _import(self, args: Any) -> str:
        name = str(self._value(args))
        return self.place.exports.get(name, f"{name}.import")

    def _cidr(self, args: list[Any]) -> list[str]:
        block, count, bits = self._value(args[0]), int(self._value(args[1])), int(self._value(args[2]))
        network = ipaddress.ip_network(block)
        subnets = network.subnets(new_prefix=network.max_prefixlen - bits)
        return [str(one) for one in islice(subnets, count)]

    def _truth(self, expression: Any) -> bool:
        if isinstance(expression, Mapping) and len(expression) == 1:
            ((name, args),) = expression.items()
            if name == "Fn::Equals":
                return str(self._value(args[0])) == str(self._value(args[1]))
            if name == "Fn::Not":
                return not self._truth(args[0])
            if name == "Condition":
                return self.condition(args)
            if name in ("Fn::And", "Fn::Or"):
                return (all if name == "Fn::And" else any)(self._truth(one) for one in args)
        raise PolicyError(
            f"{expression!r} is no condition", fix="use Fn::Equals, Fn::Not, Fn::And, Fn::Or or Condition"
        )


def mentioned(value: Any) -> set[str]:
    """Logical ids (and parameters) that a part of a template refers to, as written."""
    found: set[str] = set()
    if isinstance(value, Mapping):
        for key, args in value.items():
            if key == "Ref":
                found.add(args)
            elif key == "Fn::GetAtt":
                found.add(args.partition(".")[0] if isinstance(args, str) else args[0])
            elif key == "Fn::Sub":
                text = args if isinstance(args, str) else args[0]
                found |= {name.partition(".")[0] for mark, name in _SUB.findall(text) if not mark}
                found |= mentioned(args[1]) if isinstance(args, list) else set()
            else:
                found |= mentioned(args)
    elif isinstance(value, list):
        for one in value:
            found |= mentioned(one)
    return found
