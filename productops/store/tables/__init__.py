"""The tables. Private to the store: nobody else imports them; repositories return domain values."""

from productops.store.tables.base import Base
from productops.store.tables.capacity import ScalingOperation
from productops.store.tables.catalog import CatalogRevision, CatalogService, Venture
from productops.store.tables.governance import AuditPersonRow, AuditRow, QuarantineRow
from productops.store.tables.incident import IncidentRow
from productops.store.tables.monitoring import InfrastructureMetric, MetricSecondRow, SecondRow
from productops.store.tables.release import (
    AnalysisRow,
    DeploymentOpsEvent,
    EventRow,
    IdempotencyRow,
    RecordingRow,
    ReleaseRow,
    StepRow,
    TransitionRow,
)
from productops.store.tables.release_flags import FlagChangeRow, FlagCountRow, FlagRevisionRow, FlagRow, FlagUseRow, FlagVersionRow
from productops.store.tables.release_traffic import AgentRow, FleetRow, InstanceRow, TrafficRow
from productops.store.tables.release_train import TrainMemberRow, TrainRow
from productops.store.tables.release_windows import ChangeBypassRow, ChangeCalendarRow, ChangeOccurrenceRow
from productops.store.tables.runs import RunClaim

__all__ = [
    "AgentRow",
    "AnalysisRow",
    "AuditPersonRow",
    "AuditRow",
    "Base",
    "CatalogRevision",
    "CatalogService",
    "ChangeBypassRow",
    "ChangeCalendarRow",
    "ChangeOccurrenceRow",
    "DeploymentOpsEvent",
    "EventRow",
    "FlagChangeRow",
    "FlagCountRow",
    "FlagRevisionRow",
    "FlagRow",
    "FlagUseRow",
    "FlagVersionRow",
    "FleetRow",
    "IdempotencyRow",
    "IncidentRow",
    "InfrastructureMetric",
    "InstanceRow",
    "MetricSecondRow",
    "QuarantineRow",
    "RecordingRow",
    "ReleaseRow",
    "RunClaim",
    "ScalingOperation",
    "SecondRow",
    "StepRow",
    "TrafficRow",
    "TrainMemberRow",
    "TrainRow",
    "TransitionRow",
    "Venture",
]
