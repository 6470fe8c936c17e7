"""People are told once, by the channels that want it, in their words; what fails is shown; users read published words only."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from productops.adapters.notify_apprise import AppriseNotifier, without
from productops.api.incident_status_html import atom_feed, page_html, rss_feed
from productops.domain.analysis import ArmSecond
from productops.domain.catalog_oncall_telling import StatusPageSpec, TemplateSpec
from productops.domain.incident_updates import Harm, Moment, Word, fill
from productops.errors import ConflictError, DependencyError, InvalidInputError
from productops.usecases.incident_oncall_watch import PeopleWatch
from productops.usecases.incident_status_page import (
    UpdateWish,
    count_uptime,
    public_status_page,
    publish_update,
    retract_update,
)
from productops.usecases.incident_tell import list_notices, retry_notice, tell, try_channel
from productops.usecases.incident_tell_remind import remind_updates
from productops.usecases.incident_tell_send import send_due
from tests.integration.http_support import Reply, answering
from tests.integration.people_lab import START, People, make_people
from tests.support import PRODUCTION, SOMEBODY

INSIDE = "db-7.internal"


@pytest.fixture
def people(tmp_path: Path) -> Iterator[People]:
    made = make_people(f"sqlite:///{tmp_path / 'productops.db'}", tmp_path)
    yield made
    made.close()


@pytest.fixture
def people_everywhere(database_url: str, tmp_path: Path) -> Iterator[People]:
    made = make_people(database_url, tmp_path)
    yield made
    made.close()


def test_everybody_is_told_once_in_their_own_words(people_everywhere: People) -> None:
    people = people_everywhere
    incident = people.open()
    assert len(tell(people.context, incident, "opened", actor=SOMEBODY)) == 3
    assert tell(people.context, incident, "opened", actor=SOMEBODY) == []
    assert send_due(people.context) == 3
    assert send_due(people.context) == 0
    assert people.post.to("war_room") == ["[SEV1] SEV1 shop (production): Customers cannot pay"]
    assert people.post.to("board") == ["Heads up: Customers cannot pay"]
    ((subject, text),) = [(s, t) for who, s, t in people.post.sent if who == "customers"]
    assert (subject, INSIDE in text, "Shop" in text) == ("Apollo: Problems with Shop", False, True)
    assert people.log(incident).count("told") == 1


def test_an_incident_that_is_not_severe_is_told_to_fewer(people: People) -> None:
    incident = people.open(severity="SEV3")
    assert len(tell(people.context, incident, Moment.OPENED, actor=SOMEBODY)) == 1
    send_due(people.context)
    assert [who for who, _, _ in people.post.sent] == ["war_room"]
    assert public_status_page(people.context, "apollo").current == ()


def test_senders_that_run_at_once_send_each_message_once(people_everywhere: People) -> None:
    people = people_everywhere
    for number in range(5):
        tell(people.context, people.open(f"trouble {number}"), "opened", actor=SOMEBODY)
    contexts = [people.again() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        sent = sum(pool.map(send_due, contexts))
    assert (sent, len(people.post.sent)) == (15, 15)


def test_what_fails_is_tried_again_then_given_up_and_told_and_can_be_sent_after_all(people: People) -> None:
    incident = people.open()
    people.post.broken = {"war_room"}
    tell(people.context, incident, "opened", actor=SOMEBODY)
    for _ in range(6):
        send_due(people.context, people.clock.move(minutes=6))
    (failed,) = list_notices(people.context, incident_id=incident, state="failed", actor=SOMEBODY)
    assert (failed.channel, failed.attempts, failed.error) == ("war-room", 3, "the message was not sent: no line")
    assert "not-told" in people.log(incident)
    people.post.broken = set()
    retry_notice(people.context, failed.id, actor=SOMEBODY)
    with pytest.raises(ConflictError):
        retry_notice(people.context, failed.id, actor=SOMEBODY)
    assert send_due(people.context, people.clock.move(seconds=1)) == 1


def test_a_sender_that_died_with_a_message_is_followed_by_one_more_attempt_which_says_so(people: People) -> None:
    try_channel(people.context, "war-room", actor=SOMEBODY)
    with people.context.store.write() as unit:
        (notice,) = unit.notices.due(now=people.clock.now(), limit=5)
        assert unit.notices.claim(notice, until=people.clock.now() + timedelta(seconds=40))
    assert send_due(people.context) == 0
    assert send_due(people.context, people.clock.move(seconds=41)) == 1
    (sent,) = list_notices(people.context, actor=SOMEBODY)
    assert (sent.state, sent.doubtful, sent.error) == ("sent", 1, "an earlier attempt ended without a word: it may have arrived twice")


def test_whoever_leads_is_reminded_until_the_next_word_comes(people: People) -> None:
    incident = people.open()
    tell(people.context, incident, "opened", actor=SOMEBODY)
    assert remind_updates(people.context, people.clock.move(minutes=29)) == 0
    assert remind_updates(people.context, people.clock.move(minutes=1)) == 1
    assert remind_updates(people.context, people.clock.move(minutes=9)) == 0
    assert remind_updates(people.context, people.clock.move(minutes=1)) == 1
    tell(people.context, incident, "update", text="we know why", actor=SOMEBODY)
    assert remind_updates(people.context, people.clock.move(minutes=20)) == 0
    people.resolve(incident)
    tell(people.context, incident, "resolved", actor=SOMEBODY)
    assert remind_updates(people.context, people.clock.move(hours=9)) == 0
    reminders = [n for n in list_notices(people.context, incident_id=incident, actor=SOMEBODY) if n.moment is Moment.REMINDER]
    assert {n.recipient for n in reminders} <= {"mia", "noah"}
    assert {n.state for n in reminders} == {"dropped"}


def test_somebody_is_reminded_as_long_as_users_read_of_what_is_over(people: People) -> None:
    incident = people.open(severity="SEV2")
    publish_update(people.context, incident, UpdateWish("We know why.", Word.IDENTIFIED, title="Payments"), actor=SOMEBODY)
    people.resolve(incident)
    tell(people.context, incident, "resolved", actor=SOMEBODY)
    assert remind_updates(people.context) == 1
    publish_update(people.context, incident, UpdateWish("All is well.", Word.RESOLVED), actor=SOMEBODY)
    assert remind_updates(people.context, people.clock.move(hours=9)) == 0


def test_an_update_needs_words_and_a_moment_there_is(people: People) -> None:
    incident = people.open()
    for moment, text in (("update", " "), ("paged", "x"), ("whenever", "x"), ("update", "x" * 5000)):
        with pytest.raises(InvalidInputError):
            tell(people.context, incident, moment, text=text, actor=SOMEBODY)


def test_placeholders_are_filled_in_and_nothing_else_is_evaluated() -> None:
    values = {"title": "{severity} {0.__class__} {{x}}", "severity": "SEV1"}
    assert fill("{title} {unknown} {title!r} {severity}", values, characters_max=99) == "{severity} {0.__class__} {{x}}  {title!r} SEV1"
    with pytest.raises(ValueError, match="is not for customers"):
        TemplateSpec.model_validate({"audience": "customers", "moment": "update", "subject": "x", "text": "{title}"})
    with pytest.raises(ValueError, match="cannot be published"):
        StatusPageSpec.model_validate({"title": "x", "components": [{"name": "a", "service": "a"}], "automatic": {"opened": "{title}"}})


def test_the_page_holds_published_words_only(people: People) -> None:
    incident = people.open(f"{INSIDE} is down <b>", severity="SEV2")
    wish = UpdateWish("We know why. <script>alert(1)</script>", Word.IDENTIFIED, title="Payments fail", harm=Harm.MAJOR)
    first = publish_update(people.context, incident, wish, actor=SOMEBODY)
    page = public_status_page(people.context, "apollo")
    assert (page.harm, page.said, page.components[0].harm, page.components[1].harm) == (
        Harm.MAJOR,
        "Major outage",
        Harm.MAJOR,
        Harm.OPERATIONAL,
    )
    html, atom, rss = page_html(page), atom_feed(page, "https://x.example/"), rss_feed(page, "https://x.example/")
    for text in (html, atom.decode(), rss.decode()):
        assert INSIDE not in text
        assert incident not in text
        assert "Payments fail" in text
        assert "<script" not in text
    assert (
        ET.fromstring(atom).find("{http://www.w3.org/2005/Atom}entry/{http://www.w3.org/2005/Atom}title").text
        == "Payments fail: identified"
    )
    assert ET.fromstring(rss).find("channel/item/title").text == "Payments fail: identified"
    people.clock.move(minutes=5)
    publish_update(people.context, incident, UpdateWish("All is well.", Word.RESOLVED), actor=SOMEBODY)
    page = public_status_page(people.context, "apollo")
    assert (page.harm, page.current, len(page.past[0].updates)) == (Harm.OPERATIONAL, (), 2)
    retract_update(people.context, first.id, reason="said too much", actor=SOMEBODY)
    assert len(public_status_page(people.context, "apollo").past[0].updates) == 1
    assert people.audit(f"incident/{incident}")[0] == "status.retracted"


def test_words_need_a_public_title_and_components_of_the_page(people: People) -> None:
    incident = people.open(severity="SEV2")
    with pytest.raises(InvalidInputError, match="title that users may read"):
        publish_update(people.context, incident, UpdateWish("x", Word.IDENTIFIED), actor=SOMEBODY)
    with pytest.raises(InvalidInputError, match="no component 'db'; it has: Shop, Till"):
        publish_update(people.context, incident, UpdateWish("x", Word.IDENTIFIED, title="y", components=("db",)), actor=SOMEBODY)


def test_the_catalog_speaks_for_severe_incidents_from_beginning_to_end(people: People) -> None:
    incident = people.open()
    for moment in ("opened", "mitigated"):
        tell(people.context, incident, moment, actor=SOMEBODY)
        people.clock.move(minutes=1)
    people.resolve(incident)
    tell(people.context, incident, "resolved", actor=SOMEBODY)
    (over,) = public_status_page(people.context, "apollo").past
    assert [words.word for words in over.updates] == [Word.RESOLVED, Word.MONITORING, Word.INVESTIGATING]


def test_uptime_counts_minutes_with_traffic_once(people_everywhere: People) -> None:
    people = people_everywhere
    begin = int(START.timestamp())
    key = ("shop", PRODUCTION, "1.0")
    with people.context.store.write() as unit:
        for minute, failures in ((0, 0), (1, 0), (2, 5), (4, 0)):  # in the fourth there is no traffic
            for second in (0, 30):
                unit.seconds.add(begin + 60 * minute + second, {key: ArmSecond(requests=10, failures=failures)})
    assert count_uptime(people.context, people.clock.move(minutes=3)) > 0
    count_uptime(people.context, people.clock.now())
    count_uptime(people.context, people.clock.move(minutes=5))
    shop = public_status_page(people.context, "apollo").components[0]
    assert (shop.days[-1].minutes_down, shop.days[-1].ratio, shop.uptime) == (1, 0.75, 0.75)
    assert shop.days[0].ratio is None
    assert "75.000% of minutes" in page_html(public_status_page(people.context, "apollo"))


def test_a_beat_does_everything_and_survives_a_broken_part(people: People) -> None:
    watch = PeopleWatch(people.context, send_every_s=0.02)
    incident = people.open()
    tell(people.context, incident, "opened", actor=SOMEBODY)
    watch.tick()
    people.clock.move(minutes=31)
    watch.tick()
    watch.close()
    assert people.log(incident).count("update-due") == 1
    assert len(people.post.sent) >= 3


def test_apprise_sends_from_a_process_of_its_own_and_never_shows_the_address(tmp_path: Path) -> None:
    secret = "s3cr3t-t0ken-42"
    status = [200]
    with answering(lambda request: Reply(status[0], {"ok": True})) as server:
        address = f"json://user:{secret}@127.0.0.1:{server.port}/hooks/{secret}"
        AppriseNotifier().notify(address, "It is down", "Come quickly", timeout_s=20)
        assert server.requests[0].document["title"] == "It is down"
        status[0] = 500
        with pytest.raises(DependencyError, match="was not sent") as refused:
            AppriseNotifier().notify(address, "It is down", "Come quickly", timeout_s=20)
    assert secret not in refused.value.detail
    with pytest.raises(DependencyError, match="does not understand the address"):
        AppriseNotifier().notify("nonsense://" + secret, "x", "y", timeout_s=20)
    hanging = tmp_path / "hang"
    hanging.write_text(f"#!{sys.executable}\nimport time\ntime.sleep(60)\n")
    hanging.chmod(0o755)
    with pytest.raises(DependencyError, match="did not end within 0.3 s"):
        AppriseNotifier(str(hanging)).notify(address, "x", "y", timeout_s=0.3)


def test_no_part_of_an_address_is_left_in_what_is_said() -> None:
    said = without("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ", "failed for T1JJ3T3L2 with TIiajkdnlazkcOXrIdevi7FQ: 403")
    assert said == "failed for *** with ***: 403"
