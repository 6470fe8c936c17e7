"""The tables. Private to the store: nobody else imports them; repositories return domain values."""

from productops.store.tables.base import Base
from productops.store.tables.capacity import ScalingOperation
from productops.store.tables.catalog import CatalogRevision, CatalogService, Venture
from productops.store.tables.governance import AuditRow, QuarantineRow
from productops.store.tables.incident import IncidentRow
from productops.store.tables.monitoring import InfrastructureMetric, SecondRow
from productops.store.tables.release import AnalysisRow, DeploymentOpsEvent, EventRow, IdempotencyRow, ReleaseRow, StepRow, TransitionRow
from productops.store.tables.release_traffic import AgentRow, FleetRow, InstanceRow, TrafficRow
from productops.store.tables.runs import RunClaim

__all__ = [
    "AgentRow",
    "AnalysisRow",
    "AuditRow",
    "Base",
    "CatalogRevision",
    "CatalogService",
    "DeploymentOpsEvent",
    "EventRow",
    "FleetRow",
    "IdempotencyRow",
    "IncidentRow",
    "InfrastructureMetric",
    "InstanceRow",
    "QuarantineRow",
    "ReleaseRow",
    "RunClaim",
    "ScalingOperation",
    "SecondRow",
    "StepRow",
    "TrafficRow",
    "TransitionRow",
    "Venture",
]
