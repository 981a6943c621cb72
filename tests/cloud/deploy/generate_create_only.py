"""Write src/tapehouse/cloud/deploy/create_only.json again, from the schemas of CloudFormation that cfn-lint brings.

.venv/bin/python tests/cloud/deploy/generate_create_only.py
"""

from __future__ import annotations

import json
from pathlib import Path

import cfnlint

TARGET = Path(__file__).resolve().parents[3] / "src" / "tapehouse" / "cloud" / "deploy" / "create_only.json"
# The largest region has every type.
REGION = "us-east-1"
SERVICES = frozenset(
    {
        *("ApplicationAutoScaling", "Athena", "AutoScaling", "CertificateManager", "CloudWatch", "DynamoDB", "EC2"),
        *("ECR", "ECS", "EFS", "EMR", "ElasticLoadBalancingV2", "Events", "Glue", "IAM", "KMS", "Kinesis", "Lambda"),
        *("Logs", "RDS", "Route53", "S3", "SNS", "SQS", "SSM", "Scheduler", "SecretsManager", "StepFunctions", "WAFv2"),
    }
)


def generate() -> str:
    """The file's text: a line for each type with such properties."""
    schemas = Path(cfnlint.__file__).parent / "data" / "schemas"
    known = json.loads((schemas / "providers" / f"{REGION}.json").read_text(encoding="utf-8"))
    lines = []
    for kind, digest in sorted(known.items()):
        if kind.split("::")[1] not in SERVICES:
            continue
        schema = json.loads((schemas / "resources" / f"{digest}.json").read_text(encoding="utf-8"))
        always = _paths(schema.get("createOnlyProperties", []))
        sometimes = _paths(schema.get("conditionalCreateOnlyProperties", []))
        entry = {name: paths for name, paths in (("always", always), ("sometimes", sometimes)) if paths}
        if entry:
            lines.append(f"  {json.dumps(kind)}: {json.dumps(entry)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _paths(pointers: list[str]) -> list[str]:
    """Dotted, without the items of lists: `/properties/Rules/*/Id` is `Rules.Id`."""
    parts = [pointer.removeprefix("/properties/").split("/") for pointer in pointers]
    return sorted({".".join(part for part in path if part not in ("*", "properties")) for path in parts})


if __name__ == "__main__":
    TARGET.write_text(generate(), encoding="utf-8")
