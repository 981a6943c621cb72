"""Names that fit, tell deployments apart, and say what they are of."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tapehouse.cloud.naming import ACCOUNT, BUCKET_LIMIT, NAME_LIMIT, REGION, Naming
from tapehouse.errors import UsageError

ALNUM = string.ascii_lowercase + string.digits
WORD = st.text(ALNUM, min_size=1, max_size=12)
APPLICATION = st.from_regex(r"[a-z][a-z0-9]{1,11}", fullmatch=True)
SUFFIX = st.from_regex(r"[a-z][a-z0-9]{1,7}", fullmatch=True)
PURPOSE = st.lists(WORD, min_size=1, max_size=8).map("-".join).filter(lambda text: text[0].isalpha())
NAMING = st.builds(
    Naming, APPLICATION, st.sampled_from(["stream", "lake"]), st.sampled_from(["dev", "test", "prod"]), SUFFIX
)
# The longest there are.
LONGEST = {ACCOUNT: "1" * 12, REGION: "ap-southeast-12"[:14]}


def known(text: str) -> str:
    """The name once it is deployed where it becomes longest."""
    for pseudo, value in LONGEST.items():
        text = text.replace(pseudo, value)
    return text


def roomy(naming: Naming, purpose: str) -> bool:
    """Whether a bucket's name has room for any purpose at all."""
    try:
        naming.bucket_text(purpose)
    except UsageError:
        return False
    return True


@given(NAMING, PURPOSE, st.sampled_from([64, 128, 255]))
def test_names_fit_and_are_hyphenated(naming: Naming, purpose: str, limit: int) -> None:
    name = known(naming.text(purpose, limit=limit))
    assert len(name) <= limit
    assert re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)+", name)
    assert name.startswith(f"{naming.application}-{naming.service}-")
    assert name.endswith(f"-{naming.environment}-{naming.suffix}-{LONGEST[REGION]}")


@given(NAMING, PURPOSE)
def test_buckets_names_fit_or_are_refused(naming: Naming, purpose: str) -> None:
    assume(roomy(naming, purpose))
    name = known(naming.bucket_text(purpose))
    assert 3 <= len(name) <= BUCKET_LIMIT
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]*[a-z0-9]", name)
    assert ACCOUNT in naming.bucket_text(purpose)


@given(NAMING, PURPOSE, PURPOSE)
def test_different_purposes_have_different_names(naming: Naming, one: str, other: str) -> None:
    assume(one != other)
    assert naming.text(one) != naming.text(other)


@given(NAMING, NAMING, PURPOSE)
def test_different_deployments_share_no_name(one: Naming, other: Naming, purpose: str) -> None:
    assume(one != other)
    assert naming_set(one, purpose).isdisjoint(naming_set(other, purpose))


def naming_set(naming: Naming, purpose: str) -> set[str]:
    names = {naming.text(purpose), naming.stack(), naming.stack("monitoring"), naming.export("RawBucket")}
    return names | {naming.identifier("queries")}


@given(NAMING, PURPOSE)
def test_identifiers_have_letters_digits_and_underscores_alone(naming: Naming, purpose: str) -> None:
    assert re.fullmatch("[a-z][a-z0-9_]*", naming.identifier(purpose))
    assert re.fullmatch("[a-z][a-z0-9_]*", naming.identifier())


def test_short_purposes_are_written_out() -> None:
    naming = Naming("tapehouse", "lake", "test", "x1a2")
    assert naming.text("lineage") == "tapehouse-lake-lineage-test-x1a2-${AWS::Region}"
    assert naming.bucket_text("raw") == "tapehouse-lake-raw-test-x1a2-${AWS::AccountId}-${AWS::Region}"
    assert naming.assets_text() == naming.bucket_text("assets")
    assert naming.stack("monitoring") == "tapehouse-lake-monitoring-test-x1a2"
    assert naming.export("RawBucket") == "tapehouse-lake-test-x1a2-RawBucket"
    assert naming.identifier() == "tapehouse_lake_test_x1a2"


def test_long_purposes_are_cut_and_hashed() -> None:
    naming = Naming("tapehouse", "lake", "test", "x1a2")
    one, other = (naming.text(f"alarm-of-a-dataset-with-a-long-name-{end}") for end in ("first", "second"))
    assert one != other
    assert len(known(one)) <= NAME_LIMIT
    assert re.search(r"-[0-9a-f]{6}-test-x1a2-", one)


@pytest.mark.parametrize("purpose", ["", "Raw", "raw-", "-raw", "raw--data", "raw_data", "1raw", "raw\n"])
def test_what_cannot_be_part_of_a_name_is_told(purpose: str) -> None:
    with pytest.raises(UsageError, match="lower-case words"):
        Naming("tapehouse", "lake", "test", "x1a2").text(purpose)


def test_names_without_room_are_told() -> None:
    with pytest.raises(UsageError, match="shorten the application or the suffix"):
        Naming("tapehouse", "lake", "test", "x1a2").text("lineage", limit=45)


def test_tokens_are_substituted_by_cloudformation() -> None:
    from aws_cdk import Stack, Token

    naming = Naming("tapehouse", "lake", "test", "x1a2")
    for token, text in ((naming.name("raw"), naming.text("raw")), (naming.bucket("raw"), naming.bucket_text("raw"))):
        assert Token.is_unresolved(token)
        assert Stack().resolve(token) == {"Fn::Sub": text}
