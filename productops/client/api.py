"""The client. Written by `make docs` from the OpenAPI document; do not edit."""
# fmt: off

from __future__ import annotations

from productops.client.access import AccessOperations
from productops.client.analytics import AnalyticsOperations
from productops.client.approvals import ApprovalsOperations
from productops.client.audit import AuditOperations
from productops.client.changes import ChangesOperations
from productops.client.compliance import ComplianceOperations
from productops.client.deployment_ops import DeploymentOpsOperations
from productops.client.development import DevelopmentOperations
from productops.client.flags import FlagsOperations
from productops.client.incidents import IncidentsOperations
from productops.client.monitoring import MonitoringOperations
from productops.client.oncall import OncallOperations
from productops.client.quality import QualityOperations
from productops.client.release import ReleaseOperations
from productops.client.security import SecurityOperations
from productops.client.webhooks import WebhooksOperations
from productops.client.windows import WindowsOperations


class Client(AccessOperations, AnalyticsOperations, ApprovalsOperations, AuditOperations, ChangesOperations, ComplianceOperations, DeploymentOpsOperations, DevelopmentOperations, FlagsOperations, IncidentsOperations, MonitoringOperations, OncallOperations, QualityOperations, ReleaseOperations, SecurityOperations, WebhooksOperations, WindowsOperations):
    """Every operation of the interface."""
