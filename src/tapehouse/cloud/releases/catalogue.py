"""The catalogue: the newest release, a refused one, and what expires soon."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from tapehouse.cloud.settings import Override, Settings
from tapehouse.errors import UsageError

# A function must not be made on a runtime that will be withdrawn within this.
MARGIN_DAYS = {"lambda-python": 183}
HORIZONS_DAYS = (90, 180)


@dataclass(frozen=True, slots=True)
class Release:
    """One release of a product. `supported_until` is the last supported day, None where none is announced; `bundles`
    maps an application to its version in the release; `python` is the version (3.14) that code for it is built for.
    """

    product: str
    version: str
    supported_until: dt.date | None = None
    python: str = ""
    bundles: Mapping[str, str] = field(default_factory=dict)

    def supported(self, on: dt.date) -> bool:
        """Whether the release may be newly used on that day."""
        margin = dt.timedelta(days=MARGIN_DAYS.get(self.product, 0))
        return self.supported_until is None or on + margin <= self.supported_until

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        until = None if self.supported_until is None else self.supported_until.isoformat()
        return {
            "product": self.product,
            "version": self.version,
            "supported_until": until,
            "bundles": dict(self.bundles),
        }


@dataclass(frozen=True, slots=True)
class Expiry:
    """A release whose support ends: `days` from the day asked about, negative when it has ended."""

    release: Release
    days: int

    @property
    def within(self) -> str:
        """`ended`, or the shortest horizon that it falls in: `90 days`, `180 days`, `later`."""
        if self.days < 0:
            return "ended"
        return next((f"{horizon} days" for horizon in HORIZONS_DAYS if self.days <= horizon), "later")


class ReleaseError(UsageError):
    """A release that is unknown or out of support."""


class Catalogue:
    """Releases by product, newest first."""

    def __init__(self, products: Mapping[str, tuple[Release, ...]]) -> None:
        self._products = products

    def __iter__(self) -> Iterator[Release]:
        return (release for releases in self._products.values() for release in releases)

    def newest(self, product: str, on: dt.date) -> Release:
        """The newest release that is supported on that day; ReleaseError when there is none."""
        for release in self._of(product):
            if release.supported(on):
                return release
        last = self._of(product)[0]
        raise ReleaseError(
            f"no release of {product} that this version knows is supported on {on}: {last.version} until "
            f"{last.supported_until}",
            fix="upgrade Tapehouse, or override the release with a reason",
        )

    def choose(self, product: str, on: dt.date, override: Override | None = None) -> Release:
        """The newest supported release, or the one that `override` names and gives a reason for."""
        return self.newest(product, on) if override is None else self.known(product, override.version)

    def known(self, product: str, version: str) -> Release:
        """That release, supported or not."""
        for release in self._of(product):
            if release.version == version:
                return release
        known = ", ".join(release.version for release in self._of(product))
        raise ReleaseError(f"{product} {version} is not in the catalogue", fix=f"one of: {known}")

    def require(self, product: str, version: str, on: dt.date) -> Release:
        """That release; ReleaseError with the date and the nearest supported one when it is out of support."""
        release = self.known(product, version)
        if not release.supported(on):
            near = self._nearest(product, version, on)
            raise ReleaseError(
                f"{product} {version} is out of support: standard support ended on {release.supported_until}",
                fix=f"use {near.version}, or override it with a reason",
            )
        return release

    def expiries(self, on: dt.date) -> list[Expiry]:
        """Releases with an announced end, soonest first."""
        dated = [(release, release.supported_until) for release in self]
        found = [Expiry(release, (until - on).days) for release, until in dated if until is not None]
        return sorted(found, key=lambda one: (one.days, one.release.product, one.release.version))

    def _nearest(self, product: str, version: str, on: dt.date) -> Release:
        """The oldest that is supported and younger than `version`: the smallest step."""
        releases = self._of(product)
        younger = releases[: [one.version for one in releases].index(version)]
        supported = [one for one in younger if one.supported(on)]
        return supported[-1] if supported else self.newest(product, on)

    def _of(self, product: str) -> tuple[Release, ...]:
        if product not in self._products:
            raise ReleaseError(f"no product {product!r} in the catalogue", fix=f"one of: {', '.join(self._products)}")
        return self._products[product]


@cache
def catalogue() -> Catalogue:
    """What this version of Tapehouse knows."""
    text = files("tapehouse.cloud.releases").joinpath("releases.yaml").read_text(encoding="utf-8")
    return Catalogue({entry["product"]: tuple(_releases(entry)) for entry in yaml.safe_load(text)})


def _releases(entry: Mapping[str, Any]) -> Iterator[Release]:
    for one in entry["releases"]:
        yield Release(
            entry["product"],
            one["version"],
            one.get("supported_until"),
            one.get("python", ""),
            {name: str(version) for name, version in one.get("bundles", {}).items()},
        )


def chosen(settings: Settings, product: str) -> Release:
    """What a deployment of these settings uses."""
    return catalogue().choose(product, settings.as_of or dt.date.today(), settings.overrides.get(product))
