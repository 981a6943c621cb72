"""The table of landed files."""

from __future__ import annotations

import pytest

from .whole import Whole


@pytest.mark.parametrize(("where", "kept"), [("in_test", False), ("in_prod", True)])
def test_the_table_is_restorable_encrypted_and_protected_where_data_is_kept(
    where: str, kept: bool, request: pytest.FixtureRequest
) -> None:
    found: Whole = request.getfixturevalue(where)
    (table,) = found.template.of("AWS::DynamoDB::Table").values()
    properties = table["Properties"]
    assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    encryption = {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": found.template.data_key}
    assert properties["SSESpecification"] == encryption
    assert properties["DeletionProtectionEnabled"] is kept
    assert properties["BillingMode"] == "PAY_PER_REQUEST"
    assert table["DeletionPolicy"] == ("Retain" if kept else "Delete")


def test_items_are_of_one_content_of_one_dataset_and_expire(in_test: Whole) -> None:
    properties = in_test.template.one("AWS::DynamoDB::Table")
    keys = {one["KeyType"]: one["AttributeName"] for one in properties["KeySchema"]}
    assert keys == {"HASH": "dataset", "RANGE": "sha256"}
    assert properties["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    assert properties["TableName"] == "tapehouse-lake-lineage-test-x1a2-eu-central-1"
