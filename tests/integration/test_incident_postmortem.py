"""A draft is written from stored rows, edited by people, every text is kept; tasks are tracked and reminded of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from productops.adapters.notify_page import markdown_page
from productops.domain.analysis import ArmSecond
from productops.domain.incident_postmortem import PostmortemState, TaskFilter
from productops.domain.incident_updates import Word
from productops.errors import ConflictError, InvalidInputError, NotFoundError, RevisionMismatchError
from productops.usecases.incident_oncall import page
from productops.usecases.incident_oncall_escalate import escalate_due
from productops.usecases.incident_postmortem import (
    PostmortemEdit,
    draft_postmortem,
    edit_postmortem,
    list_postmortems,
    list_versions,
    publish_postmortem,
    read_postmortem,
)
from productops.usecases.incident_postmortem_tasks import TaskChange, TaskWish, add_task, change_task, list_tasks
from productops.usecases.incident_status_page import UpdateWish, publish_update
from productops.usecases.incident_tell import tell
from productops.usecases.incident_tell_remind import remind_tasks
from productops.usecases.incident_tell_send import send_due
from tests.integration.people_lab import START, People, make_people
from tests.support import PRODUCTION, SOMEBODY


@pytest.fixture
def people_everywhere(database_url: str, tmp_path: Path) -> Iterator[People]:
    made = make_people(database_url, tmp_path)
    yield made
    made.close()


@pytest.fixture
def people(tmp_path: Path) -> Iterator[People]:
    made = make_people(f"sqlite:///{tmp_path / 'productops.db'}", tmp_path)
    yield made
    made.close()


def lived_through(people: People) -> str:
    """An incident of twenty minutes with traffic, a call, words and an end."""
    key, begin = ("shop", PRODUCTION, "1.0"), int(START.timestamp())
    with people.context.store.write() as unit:
        for second in range(-60, 300, 5):
            unit.seconds.add(begin + second, {key: ArmSecond(requests=10, failures=4 if second >= 0 else 0)})
    incident = people.open("Customers | cannot <pay>")
    tell(people.context, incident, "opened", actor=SOMEBODY)
    page(people.context, incident, actor=SOMEBODY)
    people.clock.move(minutes=2)
    people.acknowledge(incident)
    escalate_due(people.context, people.clock.now())
    publish_update(people.context, incident, UpdateWish("Payments fail at times.", Word.IDENTIFIED, title="Payments"), actor=SOMEBODY)
    people.clock.move(minutes=3)
    people.change(incident, mitigated_at=people.clock.now(), status="mitigated")
    people.clock.move(minutes=15)
    people.resolve(incident)
    return incident


def test_the_draft_holds_what_is_stored_and_where_it_stands(people_everywhere: People) -> None:
    people = people_everywhere
    incident = lived_through(people)
    made = draft_postmortem(people.context, incident, actor=SOMEBODY)
    assert (made.state, made.revision) == (PostmortemState.DRAFT, 1)
    for line in (
        "# 2026-11-16 SEV1 Customers \\| cannot \\<pay\\>", "| time to acknowledge | 2 min |", "| time to mitigate | 5 min |",
        "| time to resolve | 20 min |", "| minutes of harm | 5 min |", "| requests failed | 240 requests |",
        "published on apollo (identified): Payments fail at times.", "the call ended as acknowledged on level 1, round 1",
        "| users affected | not known | nobody counted them",
    ):  # fmt: skip
        assert line in made.text, made.text
    headings = re.findall(r"^## (.*)$", made.text, re.MULTILINE)
    assert headings == [
        "Summary", "Impact", "Detection and response", "Timeline", "Causes", "What worked", "What did not work", "Where we were lucky",
        "Actions",
    ]  # fmt: skip
    assert made.facts["figures"][1]["value"] == 600
    assert draft_postmortem(people.context, incident, actor=SOMEBODY).revision == 1


def test_people_edit_the_text_and_every_version_is_kept(people: People) -> None:
    incident = lived_through(people)
    draft = draft_postmortem(people.context, incident, actor=SOMEBODY)
    edited = edit_postmortem(people.context, incident, PostmortemEdit("# What we learned", 1, "Payments"), actor=SOMEBODY)
    assert (edited.revision, edited.title) == (2, "Payments")
    with pytest.raises(RevisionMismatchError, match="at revision 2, not 1"):
        edit_postmortem(people.context, incident, PostmortemEdit("# Lost", 1), actor=SOMEBODY)
    with pytest.raises(InvalidInputError):
        edit_postmortem(people.context, incident, PostmortemEdit("  ", 2), actor=SOMEBODY)
    assert draft_postmortem(people.context, incident, actor=SOMEBODY).text == "# What we learned"
    again = draft_postmortem(people.context, incident, again=True, actor=SOMEBODY)
    assert again.text.startswith("# 2026-11-16 SEV1")
    assert [v.text[:18] for v in list_versions(people.context, incident, actor=SOMEBODY)][1:] == ["# What we learned", draft.text[:18]]


def test_it_is_published_when_the_incident_is_over_and_the_incident_knows(people: People) -> None:
    going_on = people.open()
    draft_postmortem(people.context, going_on, actor=SOMEBODY)
    with pytest.raises(ConflictError, match="published when it is over"):
        publish_postmortem(people.context, going_on, revision=1, actor=SOMEBODY)
    incident = lived_through(people)
    with pytest.raises(NotFoundError, match="productops postmortem draft"):
        read_postmortem(people.context, incident, actor=SOMEBODY)
    draft_postmortem(people.context, incident, actor=SOMEBODY)
    published = publish_postmortem(people.context, incident, revision=1, actor=SOMEBODY)
    assert published.state is PostmortemState.PUBLISHED
    with pytest.raises(ConflictError):
        publish_postmortem(people.context, incident, revision=2, actor=SOMEBODY)
    with pytest.raises(ConflictError):
        draft_postmortem(people.context, incident, again=True, actor=SOMEBODY)
    assert [p.incident_id for p in list_postmortems(people.context, state=PostmortemState.PUBLISHED, actor=SOMEBODY)] == [incident]
    assert people.audit(f"incident/{incident}")[0] == "postmortem.published"


def test_tasks_are_done_given_away_and_overdue_ones_are_reminded_of_once_a_day(people_everywhere: People) -> None:
    people = people_everywhere
    incident = people.open()
    today = people.clock.now().date()
    late = add_task(people.context, incident, TaskWish("alert on payments", "mia", today), actor=SOMEBODY)
    free = add_task(people.context, incident, TaskWish("write it down"), actor=SOMEBODY)
    assert [t.id for t in list_tasks(people.context, TaskFilter(), actor=SOMEBODY)] == [late.id, free.id]
    assert list_tasks(people.context, TaskFilter(), overdue=True, actor=SOMEBODY) == []
    people.clock.move(hours=20)  # six in the morning
    assert remind_tasks(people.context) == 0
    people.clock.move(hours=3)
    assert (remind_tasks(people.context), remind_tasks(people.context)) == (1, 0)
    send_due(people.context)
    assert people.post.to("mia") == ["[task overdue] alert on payments"]
    assert [t.id for t in list_tasks(people.context, TaskFilter(), overdue=True, actor=SOMEBODY)] == [late.id]
    moved = change_task(people.context, late.id, TaskChange(owner="noah", due_day=today + timedelta(days=9)), actor=SOMEBODY)
    assert (moved.owner, moved.overdue(today + timedelta(days=1))) == ("noah", False)
    done = change_task(people.context, late.id, TaskChange("done"), actor=SOMEBODY)
    assert done.done_at == people.clock.now()
    assert [t.id for t in list_tasks(people.context, TaskFilter(state="open"), actor=SOMEBODY)] == [free.id]
    with pytest.raises(InvalidInputError):
        add_task(people.context, incident, TaskWish("x", due_day=date(1900, 1, 1)), actor=SOMEBODY)
    with pytest.raises(NotFoundError):
        change_task(people.context, incident, TaskChange("done"), actor=SOMEBODY)


def test_text_of_people_becomes_a_page_without_html_of_theirs() -> None:
    page_ = markdown_page(
        "x</title>", "# Hi\n\n<script>alert(1)</script>\n\n[a](javascript:alert(1)) ![b](https://evil.example/x.png)\n\n|a|\n|-|\n|b|\n"
    )
    assert "<script" not in page_
    assert "<img" not in page_
    assert 'href="javascript' not in page_
    assert "<table>" in page_
