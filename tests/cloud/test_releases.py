"""Releases by product and day."""

from __future__ import annotations

import datetime as dt

import pytest

from tapehouse.cloud.releases.catalogue import Catalogue, Expiry, Release, ReleaseError, catalogue, chosen
from tapehouse.cloud.settings import Override

from .constructs.whole import settings_of

TODAY = dt.date(2026, 11, 27)


def two(**given: dt.date | None) -> Catalogue:
    """`new` and `old` of one product with those last days."""
    return Catalogue({"thing": tuple(Release("thing", name, given[name]) for name in ("new", "old"))})


def test_the_newest_is_taken() -> None:
    assert catalogue().newest("lambda-python", TODAY).version == "python3.14"
    assert catalogue().newest("glue", TODAY).version == "6.0"
    assert chosen(settings_of("test", as_of=TODAY), "glue").version == "6.0"
    assert chosen(settings_of("test"), "glue").python == "3.13"


def test_functions_are_not_made_on_what_is_withdrawn_within_half_a_year() -> None:
    last = dt.date(2028, 12, 29)
    assert catalogue().newest("lambda-python", last).version == "python3.14"
    with pytest.raises(ReleaseError, match=r"python3.14 until 2029-06-30") as caught:
        catalogue().newest("lambda-python", last + dt.timedelta(days=1))
    assert "override" in caught.value.fix


def test_what_is_out_of_support_is_passed_over() -> None:
    found = two(new=dt.date(2026, 1, 1), old=None)
    assert found.newest("thing", TODAY).version == "old"


def test_the_last_day_is_a_day_of_support() -> None:
    assert Release("thing", "1", TODAY).supported(TODAY)
    assert not Release("thing", "1", TODAY).supported(TODAY + dt.timedelta(days=1))


def test_an_override_wins_with_its_reason() -> None:
    override = Override(version="emr-6.9.0", reason="an application of ours needs Spark 3.3")
    assert catalogue().choose("emr", TODAY, override).version == "emr-6.9.0"
    assert catalogue().choose("emr", TODAY).version == "emr-7.14.0"


def test_an_ended_release_is_refused_with_the_smallest_step() -> None:
    with pytest.raises(ReleaseError, match=r"emr-6\.9\.0 is out of support: .* ended on 2024-11-18") as caught:
        catalogue().require("emr", "emr-6.9.0", TODAY)
    assert "emr-7.13.0" in caught.value.fix
    assert catalogue().require("emr", "emr-7.13.0", TODAY).version == "emr-7.13.0"


def test_the_step_leads_to_a_younger_release() -> None:
    """From a release that ended to the next, and to an older one only where there is no other."""
    last = dt.date(2020, 1, 1)
    found = Catalogue({"thing": (Release("thing", "3"), Release("thing", "2", last), Release("thing", "1"))})
    with pytest.raises(ReleaseError, match="use 3"):
        found.require("thing", "2", TODAY)
    newest = Catalogue({"thing": (Release("thing", "2", last), Release("thing", "1"))})
    with pytest.raises(ReleaseError, match="use 1"):
        newest.require("thing", "2", TODAY)


def test_unknown_products_and_releases_are_told() -> None:
    with pytest.raises(ReleaseError, match="one of: lambda-python"):
        catalogue().newest("toaster", TODAY)
    with pytest.raises(ReleaseError, match="not in the catalogue"):
        catalogue().known("glue", "4.0")


def test_what_expires_is_told_soonest_first() -> None:
    found = two(new=TODAY + dt.timedelta(days=100), old=TODAY - dt.timedelta(days=1)).expiries(TODAY)
    assert [(one.release.version, one.days, one.within) for one in found] == [
        ("old", -1, "ended"),
        ("new", 100, "180 days"),
    ]


@pytest.mark.parametrize(
    ("days", "within"),
    [(-1, "ended"), (0, "90 days"), (90, "90 days"), (91, "180 days"), (180, "180 days"), (181, "later")],
)
def test_horizons_include_their_last_day(days: int, within: str) -> None:
    assert Expiry(Release("thing", "1"), days).within == within


def test_releases_without_an_end_do_not_expire() -> None:
    products = {one.release.product for one in catalogue().expiries(TODAY)}
    assert "glue" not in products
    assert "lambda-python" in products


def test_releases_have_a_json_form() -> None:
    found = catalogue().known("emr", "emr-7.14.0").as_dict()
    assert found["supported_until"] == "2028-09-08"
    assert found["bundles"]["spark"] == "3.5"
    assert catalogue().known("glue", "6.0").as_dict()["supported_until"] is None


def test_within_a_product_the_newest_comes_first() -> None:
    for product in ("lambda-python", "glue", "emr"):
        versions = [tuple(map(int, _numbers(one.version))) for one in catalogue() if one.product == product]
        assert versions == sorted(versions, reverse=True)


def _numbers(version: str) -> list[str]:
    return version.removeprefix("python").removeprefix("emr-").split(".")
