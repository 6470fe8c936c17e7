"""The tables. Private to the store: nobody else imports them; repositories return domain values."""

from productops.store.tables.base import Base
from productops.store.tables.capacity import ScalingOperation
from productops.store.tables.catalog import CatalogRevision, CatalogService, Venture
from productops.store.tables.governance import AuditPersonRow, AuditRow, QuarantineRow
from productops.store.tables.governance_access import AccessEntryRow, GrantRow, MembershipRow, PrincipalRow, TokenRow
from productops.store.tables.governance_approvals import (
    ApprovalLinkRow,
    ApprovalPolicyRow,
    ApprovalReviewRow,
    ApprovalRow,
    ApprovalSignatureRow,
    ChangeRecordRow,
)
from productops.store.tables.governance_compliance import ComplianceCheckRow, ControlRow, FindingRow, WaiverRow
from productops.store.tables.governance_sessions import BrowserSessionRow, LoginAttemptRow, LoginLinkRow, RunCallerRow
from productops.store.tables.governance_webhooks import (
    InboundDeliveryRow,
    InboundEventRow,
    OutboxDeliveryRow,
    OutboxEventRow,
    WebhookAlertRow,
    WebhookSourceRow,
    WebhookTargetRow,
)
from productops.store.tables.incident import IncidentRow
from productops.store.tables.monitoring import InfrastructureMetric, MetricSecondRow, SecondRow
from productops.store.tables.quality import (
    QualityEvidenceRow,
    QualityFindingRow,
    QualityGateRow,
    QualityPolicyRow,
    QualityQuarantineRow,
    QualityRunRow,
    QualitySeriesRow,
    QualitySignOffRow,
    QualityTestResultRow,
    QualityTestRow,
    QualityUploadRow,
    QualityWaiverRow,
)
from productops.store.tables.quality_learning import QualityInsightRow
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
from productops.store.tables.rest import IdempotentAnswerRow
from productops.store.tables.runs import RunClaim

__all__ = [
    "AccessEntryRow",
    "AgentRow",
    "AnalysisRow",
    "ApprovalLinkRow",
    "ApprovalPolicyRow",
    "ApprovalReviewRow",
    "ApprovalRow",
    "ApprovalSignatureRow",
    "AuditPersonRow",
    "AuditRow",
    "Base",
    "BrowserSessionRow",
    "CatalogRevision",
    "CatalogService",
    "ChangeBypassRow",
    "ChangeCalendarRow",
    "ChangeOccurrenceRow",
    "ChangeRecordRow",
    "ComplianceCheckRow",
    "ControlRow",
    "DeploymentOpsEvent",
    "EventRow",
    "FindingRow",
    "FlagChangeRow",
    "FlagCountRow",
    "FlagRevisionRow",
    "FlagRow",
    "FlagUseRow",
    "FlagVersionRow",
    "FleetRow",
    "GrantRow",
    "IdempotencyRow",
    "IdempotentAnswerRow",
    "InboundDeliveryRow",
    "InboundEventRow",
    "IncidentRow",
    "InfrastructureMetric",
    "InstanceRow",
    "LoginAttemptRow",
    "LoginLinkRow",
    "MembershipRow",
    "MetricSecondRow",
    "OutboxDeliveryRow",
    "OutboxEventRow",
    "PrincipalRow",
    "QualityEvidenceRow",
    "QualityFindingRow",
    "QualityGateRow",
    "QualityInsightRow",
    "QualityPolicyRow",
    "QualityQuarantineRow",
    "QualityRunRow",
    "QualitySeriesRow",
    "QualitySignOffRow",
    "QualityTestResultRow",
    "QualityTestRow",
    "QualityUploadRow",
    "QualityWaiverRow",
    "QuarantineRow",
    "RecordingRow",
    "ReleaseRow",
    "RunCallerRow",
    "RunClaim",
    "ScalingOperation",
    "SecondRow",
    "StepRow",
    "TokenRow",
    "TrafficRow",
    "TrainMemberRow",
    "TrainRow",
    "TransitionRow",
    "Venture",
    "WaiverRow",
    "WebhookAlertRow",
    "WebhookSourceRow",
    "WebhookTargetRow",
]
