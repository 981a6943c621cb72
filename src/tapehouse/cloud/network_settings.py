"""What an operator decides about the network: addresses and zones of a VPC to make, or an existing one by its ids."""

from __future__ import annotations

import ipaddress
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tapehouse.cloud.endpoint_services import KNOWN
from tapehouse.contracts.suggest import did_you_mean

_RFC_1918 = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")


class NetworkSettings(BaseModel):
    """The VPC: made, or an existing one named by its ids."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    create: bool = True
    """Whether the deployment makes its own VPC."""
    cidr: str = "10.40.0.0/16"
    """Addresses of the VPC, made or existing: an RFC 1918 block from /16 to /22. Endpoints admit callers from there."""
    zones: Annotated[int, Field(ge=2, le=3)] = 2
    """Availability zones with a public and a private subnet each."""
    vpc_id: Annotated[str, Field(pattern=r"^(vpc-[0-9a-f]{8,17})?$")] = ""
    """Of an existing VPC."""
    private_subnet_ids: tuple[Annotated[str, Field(pattern=r"^subnet-[0-9a-f]{8,17}$")], ...] = ()
    """Subnets of the existing VPC, one a zone, without a route to an internet gateway."""
    private_route_table_ids: tuple[Annotated[str, Field(pattern=r"^rtb-[0-9a-f]{8,17}$")], ...] = ()
    """Route tables of those subnets: gateway endpoints are entered there."""
    availability_zones: tuple[Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d[a-z]$")], ...] = ()
    """Zones of those subnets, in the same order: a Glue connection names both."""
    present_endpoints: tuple[str, ...] = ()
    """Services, such as s3 or logs, whose endpoints the existing VPC has: a second one of a service cannot be made."""

    @field_validator("cidr")
    @classmethod
    def _private_block(cls, value: str) -> str:
        try:
            block = ipaddress.IPv4Network(value)
        except ValueError as error:
            raise ValueError(f"{value!r} is no IPv4 block: {error}; such as 10.40.0.0/16") from error
        if not 16 <= block.prefixlen <= 22:
            raise ValueError(f"{value} has prefix /{block.prefixlen}; AWS and our subnets need /16 to /22")
        if not any(block.subnet_of(ipaddress.IPv4Network(one)) for one in _RFC_1918):
            raise ValueError(f"{value} is not a private block; take one of {', '.join(_RFC_1918)}")
        return value

    @model_validator(mode="after")
    def _ids_go_together(self) -> NetworkSettings:
        ids = (self.vpc_id, self.private_subnet_ids, self.private_route_table_ids, self.availability_zones)
        if self.create and any((*ids, self.present_endpoints)):
            raise ValueError("an existing VPC is described, and create is true; set create: false to use it")
        if not self.create and not all(ids):
            raise ValueError(
                "create is false; give vpc_id, private_subnet_ids, private_route_table_ids and availability_zones"
            )
        if not self.create and "cidr" not in self.model_fields_set:
            raise ValueError("create is false; give cidr, the addresses of the existing VPC")
        subnets, zones = len(self.private_subnet_ids), len(self.availability_zones)
        if subnets != zones or len(set(self.availability_zones)) != zones:
            raise ValueError(
                f"{subnets} private_subnet_ids in zones {', '.join(self.availability_zones)}; give one "
                "subnet in each zone, in the order of availability_zones"
            )
        return self

    @field_validator("present_endpoints")
    @classmethod
    def _known_services(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for strange in sorted(set(value) - KNOWN):
            known = sorted(KNOWN)
            hint = did_you_mean(strange, known) or f"it is one of {', '.join(known)}"
            raise ValueError(f"{strange!r} is no service that deployments call; {hint}")
        return value
