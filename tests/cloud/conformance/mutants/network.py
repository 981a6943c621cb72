"""VPC, endpoints."""

from __future__ import annotations

from .draft import Draft, mutant, set_everywhere, simple, without

SUBNET, NAT, ROUTE = "AWS::EC2::Subnet", "AWS::EC2::NatGateway", "AWS::EC2::Route"
ENDPOINT, GROUP = "AWS::EC2::VPCEndpoint", "AWS::EC2::SecurityGroup"
WORLD = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": "0.0.0.0/0"}

simple("B02", SUBNET, "MapPublicIpOnLaunch", True)


@mutant("B02")
def functions_run_in_public_subnets(draft: Draft) -> None:
    for stacks in (draft.test, draft.prod):
        for template in stacks.values():
            resources = template["Resources"].values()
            public = [one["Properties"]["SubnetId"] for one in resources if one["Type"] == NAT]
            for one in resources:
                if one["Type"] == "AWS::Lambda::Function" and public:
                    one["Properties"]["VpcConfig"] = {"SubnetIds": public, "SecurityGroupIds": []}


@mutant("B03", "B45")
def one_gateway_in_production(draft: Draft) -> None:
    for template in draft.prod.values():
        gateways = [name for name, one in template["Resources"].items() if one["Type"] == NAT]
        for name in gateways[1:]:
            del template["Resources"][name]
        for one in template["Resources"].values():
            if one["Type"] == ROUTE and "NatGatewayId" in one["Properties"]:
                one["Properties"]["NatGatewayId"] = {"Ref": gateways[0]}


@mutant("B03")
def two_gateways_in_one_zone(draft: Draft) -> None:
    for template in draft.prod.values():
        gateways = [one for one in template["Resources"].values() if one["Type"] == NAT]
        for one in gateways[1:]:
            one["Properties"]["SubnetId"] = gateways[0]["Properties"]["SubnetId"]


@mutant("B04")
def private_subnets_have_no_way_out(draft: Draft) -> None:
    draft.drop(ROUTE, lambda one: "NatGatewayId" in one["Properties"])


@mutant("B04")
def private_subnets_share_a_table(draft: Draft) -> None:
    for template in draft.templates():
        resources = template["Resources"].values()
        tables = [one["Properties"]["RouteTableId"] for one in resources if "NatGatewayId" in one.get("Properties", {})]
        for one in resources:
            linked = one["Type"] == "AWS::EC2::SubnetRouteTableAssociation"
            if linked and one["Properties"]["RouteTableId"] in tables:
                one["Properties"]["RouteTableId"] = tables[0]


@mutant("B05")
def nothing_is_recorded(draft: Draft) -> None:
    draft.drop("AWS::EC2::FlowLog")


simple("B05", "AWS::EC2::FlowLog", "TrafficType", "REJECT")
without("B05", "AWS::Logs::LogGroup", "KmsKeyId")
without("B05", "AWS::Logs::LogGroup", "RetentionInDays")


@mutant("B07", "C30")
def the_world_comes_in(draft: Draft) -> None:
    for properties in draft.properties(GROUP):
        properties["SecurityGroupIngress"] = [WORLD]


@mutant("B07")
def the_world_comes_in_by_a_rule_of_its_own(draft: Draft) -> None:
    for template in draft.templates():
        groups = [name for name, one in template["Resources"].items() if one["Type"] == GROUP]
        for name in groups:
            rule = {**WORLD, "GroupId": {"Fn::GetAtt": [name, "GroupId"]}}
            template["Resources"][f"{name}In"] = {"Type": "AWS::EC2::SecurityGroupIngress", "Properties": rule}


@mutant("C28")
def subnets_overlap(draft: Draft) -> None:
    set_everywhere(SUBNET, "CidrBlock", "10.40.0.0/24")(draft)


@mutant("C28")
def subnets_outside_the_vpc(draft: Draft) -> None:
    for number, properties in enumerate(draft.properties(SUBNET)):
        properties["CidrBlock"] = f"192.168.{number}.0/24"


simple("C28", SUBNET, "VpcId", "vpc-0123456789abcdef0")
simple("C29", ENDPOINT, "SubnetIds", ["subnet-0123456789abcdef0"])
simple("C30", ENDPOINT, "SecurityGroupIds", ["sg-0123456789abcdef0"])
simple("B05", "AWS::EC2::FlowLog", "LogGroupName", "elsewhere")


@mutant("B04")
def private_subnets_have_no_table(draft: Draft) -> None:
    draft.drop("AWS::EC2::SubnetRouteTableAssociation")


@mutant("C30")
def endpoints_let_nothing_in(draft: Draft) -> None:
    for properties in draft.properties(GROUP):
        properties.pop("SecurityGroupIngress", None)
    draft.drop("AWS::EC2::SecurityGroupIngress")


simple("C28", "AWS::EC2::VPC", "EnableDnsSupport", False)
simple("C29", ENDPOINT, "PrivateDnsEnabled", False)


def _of(service: str, draft: Draft) -> None:
    draft.drop(ENDPOINT, lambda one: f".{service}'" in f"{one['Properties']['ServiceName']}'".replace("'}", "'"))


@mutant("C29", "B08")
def no_endpoint_for_kms(draft: Draft) -> None:
    _of("kms", draft)


@mutant("C29")
def no_endpoint_for_secrets(draft: Draft) -> None:
    _of("secretsmanager", draft)


@mutant("B08", "C31")
def no_endpoint_for_s3(draft: Draft) -> None:
    draft.drop(ENDPOINT, lambda one: one["Properties"].get("VpcEndpointType", "Gateway") == "Gateway")


@mutant("C31")
def gateways_on_one_table(draft: Draft) -> None:
    for properties in draft.properties(ENDPOINT):
        if properties.get("RouteTableIds"):
            properties["RouteTableIds"] = properties["RouteTableIds"][:1]


@mutant("C30")
def endpoints_open_to_all_private_networks(draft: Draft) -> None:
    for properties in draft.properties(GROUP):
        for rule in properties.get("SecurityGroupIngress", []):
            rule["CidrIp"] = "10.0.0.0/8"
    for properties in draft.properties("AWS::EC2::SecurityGroupIngress"):
        properties["CidrIp"] = "10.0.0.0/8"


@mutant("C30")
def endpoints_open_on_every_port(draft: Draft) -> None:
    for properties in [*draft.properties(GROUP), *draft.properties("AWS::EC2::SecurityGroupIngress")]:
        for rule in properties.get("SecurityGroupIngress", [properties]):
            if "IpProtocol" in rule:
                rule.update({"FromPort": 0, "ToPort": 65_535})
