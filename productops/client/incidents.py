"""Operations of incidents. Written by `make docs` from the OpenAPI document; do not edit."""
# fmt: off

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from productops.client.common_models import (Environment)
from productops.client.incidents_models import (AcknowledgeIn, AlertBatch, AlertOut, AlertPage, AlertState, AlertsTakenOut, CauseDecisionIn, CauseDecisionOut, CauseLookPage, CauseRecordOut, DrillBegunOut, DrillBody, DrillInstances, DrillList, DrillOut, HoldBody, HoldList, HoldOut, IncidentLogOut, IncidentLogPage, IncidentPlaybooksWhyBody, IncidentStatus, IncidentViewOut, IncidentViewPage, InjectionBody, LedgerOut, LinkIn, MendedBody, MergeIn, MoveIn, NoteIn, PlaybookList, PlaybookOut, RespondBody, ResponseList, ResponseOut, RoleIn, ScoreBody, SeverityIn, SilenceIn, SilenceOut, SilencePage, SplitIn)
from productops.client.transport import ServerEvent, Transport, path_part


class IncidentsOperations(Transport):
    """Operations of incidents."""

    def send_alerts(self, body: AlertBatch, *, idempotency_key: str | None = None) -> AlertsTakenOut:
        """Send alerts."""
        found: AlertsTakenOut = self._ask('POST', '/api/v1/product-ops/alerts', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def list_alerts(self, *, venture: str | None = None, service: str | None = None, environment: Environment | None = None, state: list[AlertState] | None = None, status: str | None = None, severity: list[str] | None = None, source: str | None = None, incident_id: str | None = None, fingerprint: str | None = None, since: str | None = None, limit: int | None = None, after: str | None = None) -> AlertPage:
        """List alerts, newest first."""
        found: AlertPage = self._ask('GET', '/api/v1/product-ops/alerts', query={'venture': venture, 'service': service, 'environment': environment, 'state': state, 'status': status, 'severity': severity, 'source': source, 'incident_id': incident_id, 'fingerprint': fingerprint, 'since': since, 'limit': limit, 'after': after}).json()
        return found

    def send_alertmanager_alerts(self, body: dict[str, Any], *, venture: str | None = None, idempotency_key: str | None = None) -> AlertsTakenOut:
        """Webhook of Alertmanager."""
        found: AlertsTakenOut = self._ask('POST', '/api/v1/product-ops/alerts/alertmanager', query={'venture': venture}, body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def send_grafana_alerts(self, body: dict[str, Any], *, venture: str | None = None, idempotency_key: str | None = None) -> AlertsTakenOut:
        """Webhook of Grafana."""
        found: AlertsTakenOut = self._ask('POST', '/api/v1/product-ops/alerts/grafana', query={'venture': venture}, body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def send_datadog_alerts(self, body: dict[str, Any], *, venture: str | None = None, idempotency_key: str | None = None) -> AlertsTakenOut:
        """Webhook of Datadog."""
        found: AlertsTakenOut = self._ask('POST', '/api/v1/product-ops/alerts/datadog', query={'venture': venture}, body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def send_new_relic_alerts(self, body: dict[str, Any], *, venture: str | None = None, idempotency_key: str | None = None) -> AlertsTakenOut:
        """Webhook of New Relic."""
        found: AlertsTakenOut = self._ask('POST', '/api/v1/product-ops/alerts/newrelic', query={'venture': venture}, body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def get_alert(self, alert_id: str) -> AlertOut:
        """Read an alert."""
        found: AlertOut = self._ask('GET', f'/api/v1/product-ops/alerts/{path_part(alert_id)}').json()
        return found

    def silence_alerts(self, body: SilenceIn, *, idempotency_key: str | None = None) -> SilenceOut:
        """Silence alerts."""
        found: SilenceOut = self._ask('POST', '/api/v1/product-ops/alert-silences', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def list_silences(self, *, venture: str | None = None, all: bool | None = None, limit: int | None = None, after: str | None = None) -> SilencePage:
        """List silences, newest first."""
        found: SilencePage = self._ask('GET', '/api/v1/product-ops/alert-silences', query={'venture': venture, 'all': all, 'limit': limit, 'after': after}).json()
        return found

    def end_silence(self, silence_id: str, *, idempotency_key: str | None = None) -> SilenceOut:
        """End a silence."""
        found: SilenceOut = self._ask('POST', f'/api/v1/product-ops/alert-silences/{path_part(silence_id)}/end', headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def find_incidents(self, *, venture: str | None = None, service: str | None = None, environment: Environment | None = None, status: list[IncidentStatus] | None = None, severity: list[str] | None = None, since: str | None = None, until: str | None = None, text: str | None = None, limit: int | None = None, after: str | None = None) -> IncidentViewPage:
        """Find incidents, newest first."""
        found: IncidentViewPage = self._ask('GET', '/api/v1/product-ops/incidents', query={'venture': venture, 'service': service, 'environment': environment, 'status': status, 'severity': severity, 'since': since, 'until': until, 'text': text, 'limit': limit, 'after': after}).json()
        return found

    def get_incident(self, incident_id: str) -> IncidentViewOut:
        """Look at an incident."""
        found: IncidentViewOut = self._ask('GET', f'/api/v1/product-ops/incidents/{path_part(incident_id)}').json()
        return found

    def acknowledge_incident(self, incident_id: str, body: AcknowledgeIn, *, idempotency_key: str | None = None) -> IncidentViewOut:
        """Take it up."""
        found: IncidentViewOut = self._ask('POST', f'/api/v1/product-ops/incidents/{path_part(incident_id)}/acknowledge', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def set_incident_severity(self, incident_id: str, body: SeverityIn, *, idempotency_key: str | None = None) -> IncidentViewOut:
        """Say how severe it is."""
        found: IncidentViewOut = self._ask('POST', f'/api/v1/product-ops/incidents/{path_part(incident_id)}/severity', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def set_incident_role(self, incident_id: str, body: RoleIn, *, idempotency_key: str | None = None) -> IncidentViewOut:
        """Give a role."""
        found: IncidentViewOut = self._ask('POST', f'/api/v1/product-ops/incidents/{path_part(incident_id)}/roles', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def move_incident(self, incident_id: str, body: MoveIn, *, idempotency_key: str | None = None) -> IncidentViewOut:
        """Move it on."""
        found: IncidentViewOut = self._ask('POST', f'/api/v1/product-ops/incidents/{path_part(incident_id)}/moves', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def link_incident(self, incident_id: str, body: LinkIn, *, idempotency_key: str | None = None) -> IncidentViewOut:
        """Link what it is about."""
        found: IncidentViewOut = self._ask('POST', f'/api/v1/product-ops/incidents/{path_part(incident_id)}/links', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def merge_incidents(self, incident_id: str, body: MergeIn, *, idempotency_key: str | None = None) -> IncidentViewOut:
        """Others are part of it."""
        found: IncidentViewOut = self._ask('POST', f'/api/v1/product-ops/incidents/{path_part(incident_id)}/merge', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def split_incident(self, incident_id: str, body: SplitIn, *, idempotency_key: str | None = None) -> IncidentViewOut:
        """It is two."""
        found: IncidentViewOut = self._ask('POST', f'/api/v1/product-ops/incidents/{path_part(incident_id)}/split', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def note_incident(self, incident_id: str, body: NoteIn, *, idempotency_key: str | None = None) -> IncidentLogOut:
        """Write into its log."""
        found: IncidentLogOut = self._ask('POST', f'/api/v1/product-ops/incidents/{path_part(incident_id)}/notes', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def read_incident_log(self, incident_id: str, *, limit: int | None = None, after: str | None = None) -> IncidentLogPage:
        """Read its log."""
        found: IncidentLogPage = self._ask('GET', f'/api/v1/product-ops/incidents/{path_part(incident_id)}/log', query={'limit': limit, 'after': after}).json()
        return found

    def stream_incident_log(self, incident_id: str, *, after: int | None = None, last_event_id: str | None = None) -> Iterator[ServerEvent]:
        """Follow its log."""
        return self._follow(f'/api/v1/product-ops/incidents/{path_part(incident_id)}/log/events', query={'after': after}, last_event_id=last_event_id)

    def get_incident_causes(self, incident_id: str) -> LedgerOut:
        """What an incident may come from."""
        found: LedgerOut = self._ask('GET', f'/api/v1/product-ops/incidents/{path_part(incident_id)}/causes').json()
        return found

    def find_incident_causes(self, incident_id: str, *, idempotency_key: str | None = None) -> LedgerOut:
        """Look for the cause again."""
        found: LedgerOut = self._ask('POST', f'/api/v1/product-ops/incidents/{path_part(incident_id)}/causes', headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def list_incident_cause_looks(self, incident_id: str, *, limit: int | None = None, after: str | None = None) -> CauseLookPage:
        """All looks for the cause, newest first."""
        found: CauseLookPage = self._ask('GET', f'/api/v1/product-ops/incidents/{path_part(incident_id)}/causes/looks', query={'limit': limit, 'after': after}).json()
        return found

    def draw_incident_causes(self, incident_id: str) -> bytes:
        """The newest look as a picture."""
        return self._ask('GET', f'/api/v1/product-ops/incidents/{path_part(incident_id)}/causes/picture').content

    def decide_incident_cause(self, incident_id: str, body: CauseDecisionIn, *, idempotency_key: str | None = None) -> CauseDecisionOut:
        """Say that a hypothesis is right or wrong."""
        found: CauseDecisionOut = self._ask('POST', f'/api/v1/product-ops/incidents/{path_part(incident_id)}/causes/decisions', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def get_cause_record(self, *, venture: str | None = None) -> CauseRecordOut:
        """How often the first look was right."""
        found: CauseRecordOut = self._ask('GET', '/api/v1/product-ops/incident-causes/record', query={'venture': venture}).json()
        return found

    def list_playbooks(self) -> PlaybookList:
        """List playbooks."""
        found: PlaybookList = self._ask('GET', '/api/v1/product-ops/playbooks').json()
        return found

    def get_playbook(self, name: str) -> PlaybookOut:
        """Read a playbook."""
        found: PlaybookOut = self._ask('GET', f'/api/v1/product-ops/playbooks/{path_part(name)}').json()
        return found

    def list_responses(self, incident_id: str, *, dry_runs: bool | None = None) -> ResponseList:
        """What is done about it."""
        found: ResponseList = self._ask('GET', f'/api/v1/deployment-ops/incidents/{path_part(incident_id)}/responses', query={'dry_runs': dry_runs}).json()
        return found

    def respond_to_incident(self, incident_id: str, body: RespondBody | None = None, *, idempotency_key: str | None = None) -> ResponseOut:
        """Begin a playbook."""
        found: ResponseOut = self._ask('POST', f'/api/v1/deployment-ops/incidents/{path_part(incident_id)}/responses', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def let_response_begin(self, response_id: str, *, idempotency_key: str | None = None) -> ResponseOut:
        """Let it begin."""
        found: ResponseOut = self._ask('POST', f'/api/v1/product-ops/responses/{path_part(response_id)}/go', headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def stop_response(self, response_id: str, body: IncidentPlaybooksWhyBody | None = None, *, idempotency_key: str | None = None) -> ResponseOut:
        """Do nothing more."""
        found: ResponseOut = self._ask('POST', f'/api/v1/product-ops/responses/{path_part(response_id)}/stop', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def list_response_holds(self) -> HoldList:
        """List holds."""
        found: HoldList = self._ask('GET', '/api/v1/product-ops/response-holds').json()
        return found

    def hold_responses(self, body: HoldBody, *, idempotency_key: str | None = None) -> HoldOut:
        """Hands off."""
        found: HoldOut = self._ask('POST', '/api/v1/product-ops/response-holds', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def lift_response_hold(self, hold_id: str, body: IncidentPlaybooksWhyBody | None = None, *, idempotency_key: str | None = None) -> HoldOut:
        """Lift a hold."""
        found: HoldOut = self._ask('POST', f'/api/v1/product-ops/response-holds/{path_part(hold_id)}/lift', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def begin_drill(self, body: DrillBody, *, idempotency_key: str | None = None) -> DrillBegunOut:
        """Write a drill down."""
        found: DrillBegunOut = self._ask('POST', '/api/v1/product-ops/drills', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def list_drills(self, *, after: str | None = None, limit: int | None = None) -> DrillList:
        """List drills."""
        found: DrillList = self._ask('GET', '/api/v1/product-ops/drills', query={'after': after, 'limit': limit}).json()
        return found

    def get_drill(self, drill_id: str) -> DrillOut:
        """Read a drill."""
        found: DrillOut = self._ask('GET', f'/api/v1/product-ops/drills/{path_part(drill_id)}').json()
        return found

    def list_drill_instances(self, drill_id: str) -> DrillInstances:
        """Living instances there."""
        found: DrillInstances = self._ask('GET', f'/api/v1/product-ops/drills/{path_part(drill_id)}/instances').json()
        return found

    def note_injection(self, drill_id: str, body: InjectionBody, *, idempotency_key: str | None = None) -> DrillOut:
        """What is broken."""
        found: DrillOut = self._ask('POST', f'/api/v1/product-ops/drills/{path_part(drill_id)}/injection', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def note_mended(self, drill_id: str, body: MendedBody | None = None, *, idempotency_key: str | None = None) -> DrillOut:
        """All is whole again."""
        found: DrillOut = self._ask('POST', f'/api/v1/product-ops/drills/{path_part(drill_id)}/mended', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def score_drill(self, drill_id: str, body: ScoreBody | None = None, *, idempotency_key: str | None = None) -> DrillOut:
        """Score a drill."""
        found: DrillOut = self._ask('POST', f'/api/v1/product-ops/drills/{path_part(drill_id)}/score', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found
