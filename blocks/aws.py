"""AWS as the router: target groups and Lambda aliases."""

from __future__ import annotations

from pathlib import Path

from prefect.blocks.core import Block
from pydantic import Field

from productops.adapters.aws import AlbRouter, Alias, Forwarding, LambdaRouter, aws_client


class AwsLoadBalancer(Block):
    """One service behind an Application Load Balancer. Credentials are those of the machine; none are kept here."""

    _block_type_name = "ProductOps AWS load balancer"
    _block_type_slug = "productops-aws-alb"
    _description = "A router: weights of target groups."

    service: str = Field(description="Service of the catalog.")
    environment: str = Field(default="production", description="Its environment.")
    rule_arn: str = Field(default="", description="Rule whose action forwards the requests.")
    listener_arn: str = Field(default="", description="Or the listener, for its default action.")
    target_group: str = Field(default="{service}-{version}", description="Name of a version's target group.")
    region: str = ""
    profile: str = ""

    def build(self, folder: Path) -> AlbRouter:
        """The adapter; only the agent writes with it. Raises: SettingsError without boto3 or a region."""
        forwarding = Forwarding(self.target_group, self.rule_arn, self.listener_arn)
        client = aws_client("elbv2", region=self.region, profile=self.profile)
        return AlbRouter(client, {(self.service, self.environment): forwarding}, folder=folder)


class AwsLambda(Block):
    """One service as a Lambda function behind an alias."""

    _block_type_name = "ProductOps AWS Lambda alias"
    _block_type_slug = "productops-aws-lambda"
    _description = "A router: weights of the versions behind an alias."

    service: str = Field(description="Service of the catalog.")
    environment: str = Field(default="production", description="Its environment.")
    function: str = Field(description="Name of the function.")
    alias: str = Field(default="live", description="Alias its callers use.")
    region: str = ""
    profile: str = ""

    def build(self, folder: Path) -> LambdaRouter:
        """The adapter; only the agent writes with it. Raises: SettingsError without boto3 or a region."""
        client = aws_client("lambda", region=self.region, profile=self.profile)
        return LambdaRouter(client, {(self.service, self.environment): Alias(self.function, self.alias)}, folder=folder)
