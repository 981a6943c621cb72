"""The `tapehouse.*` custom properties and the JSON Schema that publishes them together with the rule kinds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from tapehouse.contracts.schema_check import SchemaCheck

if TYPE_CHECKING:
    from tapehouse.contracts.rules.base import RuleKind

PREFIX = "tapehouse."
LEVELS = ("contract", "table", "property")

ODCS_PACKAGE = "open_data_contract_standard"
"""Distribution that carries the official ODCS JSON schema (MIT; the standard itself is Apache-2.0)."""


@cache
def vocabulary() -> Mapping[str, Any]:
    """The schema file of the custom properties; its `$defs` are keyed by property name."""
    text = resources.files("tapehouse.contracts").joinpath("schemas/tapehouse-contract.schema.json").read_text("utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


@cache
def odcs_schema() -> Mapping[str, Any]:
    """The official JSON schema of the Open Data Contract Standard v3."""
    loaded: dict[str, Any] = json.loads(resources.files(ODCS_PACKAGE).joinpath("schema.json").read_bytes())
    return loaded


@cache
def odcs_check() -> SchemaCheck:
    """The official schema, compiled."""
    return SchemaCheck(odcs_schema())


@cache
def property_names(level: str = "") -> tuple[str, ...]:
    """Names of all custom properties, or of those that may stand at `level` (contract, table or property)."""
    definitions = vocabulary()["$defs"]
    return tuple(
        name
        for name, definition in definitions.items()
        if name.startswith(PREFIX) and (not level or definition["x-level"] == level)
    )


@cache
def property_check(name: str) -> SchemaCheck:
    """The compiled schema of the value of custom property `name`."""
    return SchemaCheck({"$ref": f"#/$defs/{name}", "$defs": vocabulary()["$defs"]})


_COMMON_PARAMETERS: Mapping[str, Any] = {
    "rule": {"type": "string", "description": "Kind of the rule."},
    "budget": {
        "type": "number",
        "minimum": 0,
        "maximum": 1,
        "description": "Greatest share of a run's rows that may break the rule before the run publishes nothing.",
    },
}


def implementation_schema(kind: RuleKind) -> dict[str, Any]:
    """JSON Schema of an `implementation` of rule kind `kind`: its own parameters, `rule` and `budget`."""
    schema = dict(kind.schema)
    schema["type"] = "object"
    schema["properties"] = {**_COMMON_PARAMETERS, "rule": {"const": kind.name}, **schema.get("properties", {})}
    schema["required"] = ["rule", *schema.get("required", ())]
    schema.setdefault("additionalProperties", False)
    return schema


def json_schema(kinds: Mapping[str, RuleKind] | None = None) -> dict[str, Any]:
    """The whole published schema: the official one, ours for `tapehouse.*`, and the rule kinds. For editors."""
    if kinds is None:
        from tapehouse.contracts.rules import registry

        kinds = registry()
    definitions: dict[str, Any] = dict(vocabulary()["$defs"])
    for name, kind in sorted(kinds.items()):
        definitions[f"rule.{name}"] = implementation_schema(kind) | {"title": kind.title}
    for level in LEVELS:
        definitions[f"customProperties.{level}"] = _custom_properties(level)
    definitions["quality"] = _quality(sorted(kinds))
    definitions["odcs"] = {"$id": "urn:odcs:json-schema:v3", **odcs_schema()}
    return {
        "$schema": "https://json-schema.org/draft/2019-09/schema",
        "$id": "urn:tapehouse:schema:contract:1",
        "title": "Tapehouse dataset contract",
        "description": "An Open Data Contract Standard v3 contract with Tapehouse's custom properties and rule kinds.",
        "allOf": [{"$ref": "urn:odcs:json-schema:v3"}],
        "required": ["name", "schema"],
        "properties": {
            "customProperties": {"$ref": "#/$defs/customProperties.contract"},
            "schema": {"type": "array", "minItems": 1, "maxItems": 1, "items": _table()},
        },
        "$defs": definitions,
    }


def _table() -> dict[str, Any]:
    column = {
        "properties": {
            "name": {"pattern": "^[A-Za-z][A-Za-z0-9_]*$"},
            "customProperties": {"$ref": "#/$defs/customProperties.property"},
            "quality": {"$ref": "#/$defs/quality"},
        },
        "required": ["logicalType"],
    }
    return {
        "properties": {
            "customProperties": {"$ref": "#/$defs/customProperties.table"},
            "quality": {"$ref": "#/$defs/quality"},
            "properties": {"type": "array", "minItems": 1, "items": column},
        },
        "required": ["properties"],
    }


def _custom_properties(level: str) -> dict[str, Any]:
    names = property_names(level)
    choices = [
        {
            "if": {"properties": {"property": {"const": name}}, "required": ["property"]},
            "then": {"properties": {"value": {"$ref": f"#/$defs/{name}"}}},
        }
        for name in names
    ]
    ours = {"if": {"properties": {"property": {"pattern": "^tapehouse\\."}}, "required": ["property"]}}
    known = {"then": {"properties": {"property": {"enum": list(names)}}}}
    return {"type": "array", "items": {"allOf": [ours | known, *choices]}}


def _quality(kinds: list[str]) -> dict[str, Any]:
    rule = {
        "properties": {
            "name": {"$ref": "#/$defs/code"},
            "severity": {"enum": ["error", "warning"]},
            "implementation": {
                "type": "object",
                "required": ["rule"],
                "properties": {"rule": {"enum": kinds}},
                "allOf": [
                    {
                        "if": {"properties": {"rule": {"const": name}}, "required": ["rule"]},
                        "then": {"$ref": f"#/$defs/rule.{name}"},
                    }
                    for name in kinds
                ],
            },
        },
        "required": ["name"],
    }
    ours = {"properties": {"engine": {"const": "tapehouse"}}, "required": ["engine"]}
    return {"type": "array", "items": {"if": ours, "then": rule}}
