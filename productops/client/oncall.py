"""Operations of oncall. Written by `make docs` from the OpenAPI document; do not edit."""
# fmt: off

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from productops.client.oncall_models import (CalendarIn, ChannelList, DraftIn, EditIn, IncidentOncallTriedOut, NoticeOut, NoticePage, OnCallProblemList, OnDutyList, OnDutyOut, OverrideIn, OverrideList, OverrideOut, PageOut, PagedOut, PostmortemList, PostmortemOut, PostmortemState, PostmortemVersionList, PublishIn, PublishPostmortemIn, PublishedList, PublishedOut, ReasonIn, ScheduleOut, StatusPageList, StatusSummaryOut, SwapIn, TaskChangeIn, TaskIn, TaskList, TaskOut, TellIn, ToldOut)
from productops.client.transport import ServerEvent, Transport, path_part


class OncallOperations(Transport):
    """Operations of oncall."""

    def list_on_call(self, *, at: str | None = None) -> OnDutyList:
        """Who is on call."""
        found: OnDutyList = self._ask('GET', '/api/v1/product-ops/oncall', query={'at': at}).json()
        return found

    def list_on_call_problems(self) -> OnCallProblemList:
        """What keeps people from being called."""
        found: OnCallProblemList = self._ask('GET', '/api/v1/product-ops/oncall-problems').json()
        return found

    def get_on_call_schedule(self, name: str, *, since: str | None = None, until: str | None = None) -> ScheduleOut:
        """Read a schedule."""
        found: ScheduleOut = self._ask('GET', f'/api/v1/product-ops/oncall/{path_part(name)}', query={'since': since, 'until': until}).json()
        return found

    def get_on_call(self, name: str, *, at: str | None = None) -> OnDutyOut:
        """Who is on call by a schedule."""
        found: OnDutyOut = self._ask('GET', f'/api/v1/product-ops/oncall/{path_part(name)}/now', query={'at': at}).json()
        return found

    def export_on_call(self, name: str, *, person: str | None = None) -> bytes:
        """A schedule as a calendar."""
        return self._ask('GET', f'/api/v1/product-ops/oncall/{path_part(name)}/calendar', query={'person': person}).content

    def override_on_call(self, name: str, body: OverrideIn, *, idempotency_key: str | None = None) -> OverrideOut:
        """Take calls for another."""
        found: OverrideOut = self._ask('POST', f'/api/v1/product-ops/oncall/{path_part(name)}/overrides', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def swap_on_call(self, name: str, body: SwapIn, *, idempotency_key: str | None = None) -> OverrideList:
        """Swap two shifts."""
        found: OverrideList = self._ask('POST', f'/api/v1/product-ops/oncall/{path_part(name)}/swaps', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def import_on_call(self, name: str, body: CalendarIn, *, idempotency_key: str | None = None) -> OverrideList:
        """Read overrides from a calendar."""
        found: OverrideList = self._ask('POST', f'/api/v1/product-ops/oncall/{path_part(name)}/import', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def remove_on_call_override(self, override_id: str, *, idempotency_key: str | None = None) -> bytes:
        """Take an override back."""
        return self._ask('POST', f'/api/v1/product-ops/oncall-overrides/{path_part(override_id)}/remove', headers={'Idempotency-Key': idempotency_key}).content

    def page_incident(self, incident_id: str, *, idempotency_key: str | None = None) -> PagedOut:
        """Call who is responsible."""
        found: PagedOut = self._ask('POST', f'/api/v1/product-ops/incidents/{path_part(incident_id)}/page', headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def get_incident_page(self, incident_id: str) -> PageOut:
        """Who was called."""
        found: PageOut = self._ask('GET', f'/api/v1/product-ops/incidents/{path_part(incident_id)}/page').json()
        return found

    def stop_incident_page(self, incident_id: str, *, idempotency_key: str | None = None) -> PageOut:
        """Call nobody more."""
        found: PageOut = self._ask('POST', f'/api/v1/product-ops/incidents/{path_part(incident_id)}/page/stop', headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def tell_incident(self, incident_id: str, body: TellIn, *, idempotency_key: str | None = None) -> ToldOut:
        """Tell everybody inside."""
        found: ToldOut = self._ask('POST', f'/api/v1/product-ops/incidents/{path_part(incident_id)}/tell', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def list_incident_notices(self, *, incident: str | None = None, state: Literal['waiting', 'sending', 'sent', 'failed', 'dropped'] | None = None, limit: int | None = None, after: str | None = None) -> NoticePage:
        """What was told, to whom, and when."""
        found: NoticePage = self._ask('GET', '/api/v1/product-ops/incident-notices', query={'incident': incident, 'state': state, 'limit': limit, 'after': after}).json()
        return found

    def retry_incident_notice(self, notice_id: str, *, idempotency_key: str | None = None) -> NoticeOut:
        """Send it after all."""
        found: NoticeOut = self._ask('POST', f'/api/v1/product-ops/incident-notices/{path_part(notice_id)}/retry', headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def list_channels(self) -> ChannelList:
        """Ways to reach people."""
        found: ChannelList = self._ask('GET', '/api/v1/product-ops/channels').json()
        return found

    def try_channel(self, name: str, *, idempotency_key: str | None = None) -> IncidentOncallTriedOut:
        """Send a test message."""
        found: IncidentOncallTriedOut = self._ask('POST', f'/api/v1/product-ops/channels/{path_part(name)}/try', headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def list_postmortems(self, *, state: PostmortemState | None = None, limit: int | None = None) -> PostmortemList:
        """Post-mortems, newest first."""
        found: PostmortemList = self._ask('GET', '/api/v1/product-ops/postmortems', query={'state': state, 'limit': limit}).json()
        return found

    def draft_postmortem(self, incident_id: str, body: DraftIn, *, idempotency_key: str | None = None) -> PostmortemOut:
        """Write the draft."""
        found: PostmortemOut = self._ask('POST', f'/api/v1/product-ops/incidents/{path_part(incident_id)}/postmortem', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def get_postmortem(self, incident_id: str) -> PostmortemOut:
        """Read a post-mortem."""
        found: PostmortemOut = self._ask('GET', f'/api/v1/product-ops/incidents/{path_part(incident_id)}/postmortem').json()
        return found

    def get_postmortem_markdown(self, incident_id: str) -> bytes:
        """The text alone."""
        return self._ask('GET', f'/api/v1/product-ops/incidents/{path_part(incident_id)}/postmortem/markdown').content

    def get_postmortem_html(self, incident_id: str) -> bytes:
        """The text as a page."""
        return self._ask('GET', f'/api/v1/product-ops/incidents/{path_part(incident_id)}/postmortem/html').content

    def edit_postmortem(self, incident_id: str, body: EditIn, *, idempotency_key: str | None = None) -> PostmortemOut:
        """Write another text."""
        found: PostmortemOut = self._ask('POST', f'/api/v1/product-ops/incidents/{path_part(incident_id)}/postmortem/text', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def publish_postmortem(self, incident_id: str, body: PublishPostmortemIn, *, idempotency_key: str | None = None) -> PostmortemOut:
        """Publish it."""
        found: PostmortemOut = self._ask('POST', f'/api/v1/product-ops/incidents/{path_part(incident_id)}/postmortem/publish', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def list_postmortem_versions(self, incident_id: str) -> PostmortemVersionList:
        """Every text it had."""
        found: PostmortemVersionList = self._ask('GET', f'/api/v1/product-ops/incidents/{path_part(incident_id)}/postmortem/versions').json()
        return found

    def add_incident_task(self, incident_id: str, body: TaskIn, *, idempotency_key: str | None = None) -> TaskOut:
        """Make a task."""
        found: TaskOut = self._ask('POST', f'/api/v1/product-ops/incidents/{path_part(incident_id)}/tasks', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def list_incident_tasks(self, *, venture: str | None = None, incident: str | None = None, owner: str | None = None, state: Literal['open', 'done'] | None = None, overdue: bool | None = None, limit: int | None = None) -> TaskList:
        """Tasks of incidents."""
        found: TaskList = self._ask('GET', '/api/v1/product-ops/incident-tasks', query={'venture': venture, 'incident': incident, 'owner': owner, 'state': state, 'overdue': overdue, 'limit': limit}).json()
        return found

    def change_incident_task(self, task_id: str, body: TaskChangeIn, *, idempotency_key: str | None = None) -> TaskOut:
        """Finish or change a task."""
        found: TaskOut = self._ask('POST', f'/api/v1/product-ops/incident-tasks/{path_part(task_id)}', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def list_status_pages(self) -> StatusPageList:
        """Status pages."""
        found: StatusPageList = self._ask('GET', '/api/v1/product-ops/status-pages').json()
        return found

    def get_status_page(self, name: str) -> StatusSummaryOut:
        """A status page as users would see it."""
        found: StatusSummaryOut = self._ask('GET', f'/api/v1/product-ops/status-pages/{path_part(name)}').json()
        return found

    def preview_status_page(self, name: str) -> bytes:
        """The same as HTML."""
        return self._ask('GET', f'/api/v1/product-ops/status-pages/{path_part(name)}/preview').content

    def publish_incident_update(self, incident_id: str, body: PublishIn, *, idempotency_key: str | None = None) -> PublishedOut:
        """Publish words for users."""
        found: PublishedOut = self._ask('POST', f'/api/v1/product-ops/incidents/{path_part(incident_id)}/updates', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def list_incident_updates(self, incident_id: str) -> PublishedList:
        """What was published."""
        found: PublishedList = self._ask('GET', f'/api/v1/product-ops/incidents/{path_part(incident_id)}/updates').json()
        return found

    def retract_incident_update(self, update_id: str, body: ReasonIn, *, idempotency_key: str | None = None) -> PublishedOut:
        """Take words back."""
        found: PublishedOut = self._ask('POST', f'/api/v1/product-ops/incident-updates/{path_part(update_id)}/retract', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found
