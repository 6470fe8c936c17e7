"""The outbox: what happened is told at least once, in order, under one id, and what cannot be told is not forgotten."""

import json
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from benchmarks.outbox import kill_senders
from productops.adapters.webhook_secrets import SecretFolder
from productops.adapters.webhook_sender import WebhookSender
from productops.adapters.webhook_signatures import standard_signature
from productops.api.governance_webhooks_worker import WebhookWorker, is_dead
from productops.domain.governance_outbox import OutboundState, OutboxDelivery
from productops.domain.release import Phase
from productops.errors import ConflictError
from productops.usecases.context import Context
from productops.usecases.governance_outbox import claim_due, forget_delivered, free_dead_senders, send_claimed
from productops.usecases.governance_outbox_letters import discard_delivery, list_deliveries, retry_delivery
from productops.usecases.governance_webhooks_declared import put_target, remove_target, try_target
from productops.usecases.incident import IncidentReport, report_incident, resolve_incident
from productops.usecases.release_request import ReleaseWish, request_release
from tests.integration.http_support import Reply, Request
from tests.integration.outbox_lab import SECRET, SECRET_NAME, add_target, receiving, tell, wait_for
from tests.support import SOMEBODY, add_service, make_context, sqlite_url

SOURCE = "https://ops.example.com"


@pytest.fixture
def sender() -> Iterator[WebhookSender]:
    made = WebhookSender(allow_private=True)
    yield made
    made.close()


def step(context: Context, sender: WebhookSender) -> list[OutboundState]:
    """One turn of a sender: what may be sent now, one after the other."""
    return [send_claimed(context, sender, d, source=SOURCE) for d in claim_due(context, owner="test")]


def later(context: Context, seconds: float) -> Context:
    """The same store at a later time."""

    class Late(type(context.clock)):  # type: ignore[misc]
        def now(self):
            return context.clock.now() + timedelta(seconds=seconds)

    return replace(context, clock=Late())


def all_of(context: Context) -> list[OutboxDelivery]:
    return list_deliveries(context, actor=SOMEBODY)


def test_what_was_undone_is_not_told_and_what_was_done_is(any_context: Context):
    add_target(any_context, "https://example.com")
    with any_context.store.write() as unit:
        unit.outbox.add("flag.changed", "flag/x", {}, now=any_context.clock.now())
        unit.undo()
    assert all_of(any_context) == []
    tell(any_context, "flag/x", 1)
    (delivery,) = all_of(any_context)
    assert (delivery.status, delivery.event.subject) == (OutboundState.PENDING, "flag/x")


def test_events_of_one_subject_arrive_in_order_and_others_do_not_wait(any_context: Context, sender: WebhookSender):
    failing = True

    def answer(request: Request) -> Reply:
        return Reply(503) if failing and json.loads(request.body)["subject"] == "flag/a" else Reply(204, raw=b"")

    with receiving(answer) as receiver:
        add_target(any_context, receiver.server.url)
        for number in range(3):
            tell(any_context, "flag/a", number)
            tell(any_context, "flag/b", number)
        for _ in range(4):
            step(any_context, sender)
        assert receiver.of("flag/b") == [0, 1, 2]
        assert receiver.of("flag/a") == []
        failing = False
        for seconds in (10, 11, 12, 13):
            step(later(any_context, seconds), sender)
        assert receiver.of("flag/a") == [0, 1, 2]


def test_each_attempt_has_the_same_id_and_a_signature_for_each_secret(context: Context, sender: WebhookSender):
    statuses = [500, 200]
    with receiving(lambda _: Reply(statuses.pop(0))) as receiver:
        context = replace(context, secrets=SecretFolder(Path("/nowhere"), {SECRET_NAME: SECRET, "PRODUCTOPS_SECRET_OLD": "old-secret"}))
        add_target(context, receiver.server.url, secrets=[SECRET_NAME, "PRODUCTOPS_SECRET_OLD"], token="PRODUCTOPS_SECRET_OLD")
        tell(context, "flag/x", 1)
        assert step(context, sender) == [OutboundState.PENDING]
        assert step(context, sender) == []
        assert step(later(context, 5), sender) == [OutboundState.DELIVERED]
        first, second = receiver.server.requests
        assert first.headers["webhook-id"] == second.headers["webhook-id"]
        assert first.body == second.body
        stamp = int(second.headers["webhook-timestamp"])
        wanted = [
            standard_signature(s, message_id=second.headers["webhook-id"], timestamp_s=stamp, body=second.body)
            for s in (SECRET, "old-secret")
        ]
        assert second.headers["webhook-signature"].split() == wanted
        assert second.headers["authorization"] == "Bearer old-secret"


def test_without_its_secret_nothing_is_sent_unsigned(context: Context, sender: WebhookSender):
    with receiving() as receiver:
        add_target(context, receiver.server.url, secrets=[SECRET_NAME])
        tell(context, "flag/x", 1)
        assert step(context, sender) == [OutboundState.PENDING]
        assert receiver.server.requests == []
        assert "none of the target's secrets is set here" in all_of(context)[0].reason


def test_a_wish_for_patience_is_honoured(context: Context, sender: WebhookSender):
    with receiving(lambda _: Reply(429, headers={"retry-after": "120"})) as receiver:
        add_target(context, receiver.server.url)
        tell(context, "flag/x", 1)
        step(context, sender)
        assert step(later(context, 100), sender) == []
        assert step(later(context, 125), sender) == [OutboundState.PENDING]


def test_a_dead_letter_is_told_and_does_not_block_what_comes_after_it(context: Context, sender: WebhookSender):
    broken = True
    with receiving(lambda _: Reply(500, {"error": "token=abcdefghijkl"}) if broken else Reply(204, raw=b"")) as receiver:
        add_target(context, receiver.server.url, attempts_max=2)
        tell(context, "flag/x", 1)
        tell(context, "flag/x", 2)
        step(context, sender)
        assert step(later(context, 10), sender) == [OutboundState.DEAD]
        broken = False
        step(later(context, 11), sender)
        assert receiver.of("flag/x") == [2]
        (dead,) = list_deliveries(context, actor=SOMEBODY, status=OutboundState.DEAD)
        assert (dead.attempts, dead.last_status) == (2, 500)
        assert "given up after 2 attempts" in dead.reason
        assert "abcdefghijkl" not in dead.last_answer
        with context.store.read() as unit:
            (told,) = [e for e in unit.audit.entries() if e["action"] == "webhook.dead"]
        assert told["detail"]["goes_on_without_it"] == 1
        retry_delivery(context, dead.id, actor=SOMEBODY, reason="repaired")
        step(context, sender)
        assert receiver.of("flag/x") == [2, 1]
        with pytest.raises(ConflictError, match="is delivered"):
            retry_delivery(context, dead.id, actor=SOMEBODY)


def test_a_delivery_is_given_up_after_its_time_and_at_once_when_the_target_is_gone(context: Context, sender: WebhookSender):
    with receiving(lambda request: Reply(410 if b"flag/gone" in request.body else 500)) as receiver:
        add_target(context, receiver.server.url, give_up_after_s=60)
        tell(context, "flag/gone", 1)
        tell(context, "flag/old", 1)
        assert sorted(step(context, sender)) == [OutboundState.DEAD, OutboundState.PENDING]
        assert step(later(context, 61), sender) == [OutboundState.DEAD]


def test_a_discarded_delivery_is_never_sent(context: Context, sender: WebhookSender):
    with receiving() as receiver:
        add_target(context, receiver.server.url)
        tell(context, "flag/x", 1)
        tell(context, "flag/x", 2)
        first = all_of(context)[-1]
        discard_delivery(context, first.id, actor=SOMEBODY, reason="wrong")
        step(context, sender)
        assert receiver.of("flag/x") == [2]


def test_who_was_overtaken_may_write_nothing(any_context: Context):
    add_target(any_context, "https://example.com")
    tell(any_context, "flag/x", 1)
    (slow,) = claim_due(any_context, owner="slow")
    assert claim_due(any_context, owner="other") == []
    (quick,) = claim_due(later(any_context, 31), owner="quick")
    with any_context.store.write() as unit:
        assert not unit.outbox.end(slow, OutboundState.DELIVERED, reason="", now=any_context.clock.now())
        assert unit.outbox.end(quick, OutboundState.DELIVERED, reason="", now=any_context.clock.now())


def test_two_senders_never_claim_the_same(any_context: Context):
    add_target(any_context, "https://example.com")
    for number in range(40):
        tell(any_context, f"flag/{number}", number)
    claimed: list[str] = []
    lock = threading.Lock()

    def work(name: str) -> None:
        for _ in range(6):
            found = claim_due(any_context, owner=name, per_target=16)
            with lock:
                claimed.extend(d.id for d in found)

    threads = [threading.Thread(target=work, args=(f"sender-{n}",)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed) == len(set(claimed)) == 40


def test_leases_of_the_dead_are_freed_and_those_of_the_living_are_not(any_context: Context):
    from productops.agent.election import Identity

    add_target(any_context, "https://example.com")
    tell(any_context, "flag/x", 1)
    me = Identity.here()
    assert claim_due(any_context, owner=me.name)
    assert free_dead_senders(any_context, is_dead=is_dead) == 0
    assert free_dead_senders(any_context, is_dead=lambda owner: owner == me.name) == 1
    assert claim_due(any_context, owner=replace(me, pid=2**22 - 1, created=1.0).name)
    assert free_dead_senders(any_context, is_dead=is_dead) == 1
    assert claim_due(any_context, owner="elsewhere/1#1#1.00")
    assert free_dead_senders(any_context, is_dead=is_dead) == 0


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://127.0.0.1:1/x", "only https"), ("https://127.0.0.1:1/x", "no public address"), ("https://[::1]/x", "no public address"),
        ("https://10.0.0.7/x", "no public address"), ("https://169.254.169.254/latest", "metadata"),
        ("https://[::ffff:127.0.0.1]/", "no public"),
        ("https://0.0.0.0/", "refused"), ("https://localhost/x", "no public address"),
    ],
)  # fmt: skip
def test_nothing_is_sent_to_where_only_we_can_reach(url: str, why: str):
    guarded = WebhookSender()
    posted = guarded.post(url, b"{}", {}, timeout_s=2)
    guarded.close()
    assert posted.status is None
    assert why in posted.problem


def test_metadata_is_refused_even_where_private_addresses_are_allowed(sender: WebhookSender):
    assert "metadata" in sender.post("http://169.254.169.254/latest", b"{}", {}, timeout_s=2).problem


def test_redirects_are_not_followed_and_long_answers_are_cut(sender: WebhookSender):
    with receiving(lambda _: Reply(302, headers={"location": "http://127.0.0.1:1/"})) as receiver:
        posted = sender.post(receiver.server.url, b'{"subject": "", "data": {}}', {"webhook-id": "1"}, timeout_s=2)
        assert "redirects are not followed" in posted.problem
        assert len(receiver.server.requests) == 1
    with receiving(lambda _: Reply(500, raw=b"\x1b[31m" + b"x" * 1_000_000)) as receiver:
        posted = sender.post(receiver.server.url, b'{"subject": "", "data": {}}', {"webhook-id": "1"}, timeout_s=2)
        assert len(posted.answer) <= 500
        assert "\x1b" not in posted.answer


def test_a_silent_target_costs_its_timeout_and_no_more(sender: WebhookSender):
    with receiving(lambda _: time.sleep(1.5) or Reply(200)) as receiver:
        began = time.monotonic()
        posted = sender.post(receiver.server.url, b'{"subject": "", "data": {}}', {"webhook-id": "1"}, timeout_s=0.3)
        assert posted.status is None
        assert time.monotonic() - began < 1.2


def test_releases_incidents_and_flags_are_told_by_themselves(any_context: Context):
    add_target(any_context, "https://example.com")
    add_service(any_context, live="1.0")
    release = request_release(any_context, ReleaseWish("shop", "2.0"), actor=SOMEBODY)
    for phase in (Phase.DEPLOYING, Phase.ROLLING_OUT, Phase.PROMOTING, Phase.VALIDATING, Phase.PROMOTED):
        with any_context.store.write() as unit:
            unit.releases.move(release.id, phase, actor="flow", reason="so", now=any_context.clock.now())
    incident = report_incident(any_context, IncidentReport("Customers cannot pay", "shop"), actor=SOMEBODY).incident["incident_id"]
    resolve_incident(any_context, str(incident), steps=["rolled back"], actor=SOMEBODY)
    told = [(d.event.type, d.event.subject, d.event.venture) for d in reversed(all_of(any_context))]
    about = f"release/{release.id}"
    assert told == [
        ("release.requested", about, "apollo"), ("release.deploying", about, "apollo"), ("release.rolling_out", about, "apollo"),
        ("release.promoting", about, "apollo"), ("release.validating", about, "apollo"), ("service.upgraded", about, "apollo"),
        ("release.promoted", about, "apollo"), ("incident.reported", f"incident/{incident}", "apollo"),
        ("incident.resolved", f"incident/{incident}", "apollo"),
    ]  # fmt: skip


def test_a_target_of_the_api_is_made_changed_tried_and_removed(context: Context, sender: WebhookSender):
    from productops.domain.catalog_webhooks import WebhookTargetSpec
    from productops.errors import RevisionMismatchError

    with receiving() as receiver:
        spec = WebhookTargetSpec.model_validate({"url": receiver.server.url, "format": "plain", "types": ["incident.*"]})
        assert put_target(context, "ours", venture="apollo", spec=spec, actor=SOMEBODY).revision == 1
        with pytest.raises(RevisionMismatchError):
            put_target(context, "ours", venture=None, spec=spec, actor=SOMEBODY, expected_revision=7)
        try_target(context, "ours", actor=SOMEBODY)
        assert step(context, sender) == [OutboundState.DELIVERED]
        assert json.loads(receiver.server.requests[0].body)["type"] == "webhook.test"
        try_target(context, "ours", actor=SOMEBODY)
        assert remove_target(context, "ours", actor=SOMEBODY) == 1
        assert step(context, sender) == []
        assert all_of(context)[0].status is OutboundState.DISCARDED


def test_what_was_delivered_long_ago_is_forgotten_and_dead_letters_are_not(context: Context, sender: WebhookSender):
    with receiving(lambda request: Reply(410 if b"flag/dead" in request.body else 200)) as receiver:
        add_target(context, receiver.server.url)
        for subject in ("flag/x", "flag/dead"):
            tell(context, subject, 1)
        step(context, sender)
        forget_delivered(context, before=context.clock.now() + timedelta(seconds=1))
        assert [d.event.subject for d in all_of(context)] == ["flag/dead"]


def test_a_slow_target_does_not_keep_others_waiting(tmp_path: Path):
    context = make_context(sqlite_url(tmp_path))
    with receiving(lambda _: time.sleep(0.8) or Reply(200)) as slow, receiving() as quick:
        add_target(context, slow.server.url, name="slow", timeout_s=5)
        add_target(context, quick.server.url, name="quick")
        courier = WebhookSender(allow_private=True)
        worker = WebhookWorker(lambda: context, courier, SOURCE, timedelta(days=1))
        worker.start()
        try:
            for number in range(30):
                tell(context, f"flag/{number}", number)
            assert wait_for(lambda: len(quick.got) == 30, 5)
            assert len(slow.got) < 30
        finally:
            worker.stop()
            assert wait_for(lambda: not worker.sending, 5)
            courier.close()
            context.store.close()


def test_kill_9_of_the_sender_loses_nothing_and_keeps_the_order(tmp_path: Path):
    found = kill_senders(sqlite_url(tmp_path), kills=8, seed=random.randrange(10**6))
    assert (found.lost, found.disordered, found.renamed) == (0, 0, 0), found
    assert found.events == 48


def test_a_sender_that_is_killed_uses_up_no_attempt_of_the_target(context: Context, sender: WebhookSender):
    with receiving(lambda _: Reply(500)) as receiver:
        add_target(context, receiver.server.url, attempts_max=2)
        tell(context, "flag/x", 1)
        for number in range(5):
            assert claim_due(context, owner=f"killed-{number}")
            with context.store.write() as unit:
                unit.outbox.free(f"killed-{number}")
        assert step(context, sender) == [OutboundState.PENDING]
        assert all_of(context)[0].attempts == 1
