"""Responses to incidents: playbooks chosen within guard rails, carried out from a journal, undone when they do not work."""

import os
import random
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from productops.domain.catalog_flags import FlagSpec
from productops.domain.incident_cause import CauseKind
from productops.domain.incident_playbook import PAGE_A_PERSON, ResponseState
from productops.domain.release import Cause, Phase
from productops.domain.traffic import InstanceState
from productops.errors import CatalogError, ConflictError, TakenOverError
from productops.usecases.incident_playbooks import HoldWish, hold_responses, lift_hold, list_playbooks, list_responses
from productops.usecases.incident_respond import advance_response
from productops.usecases.incident_respond_conclude import conclude_response
from productops.usecases.incident_respond_people import stop_response
from productops.usecases.release_flags_change import create_flag
from tests.integration.incident_response_lab import (
    CarefulAgent,
    begin,
    carry_out,
    declare,
    had_traffic,
    ledger,
    open_incident,
    playbook,
    read,
    wait_until,
)
from tests.integration.test_release_usecases import carry_out as release_it
from tests.integration.test_release_usecases import request, stored, traffic
from tests.support import PRODUCTION, SOMEBODY, HandMadeAgent, add_service, running, service_spec

ROOT = Path(__file__).resolve().parents[2]
ROLL_BACK = playbook("undo", when="{causes: [release]}", steps="do: roll-back\ndo: wait-for-recovery, good_s: 1, timeout_s: 20")
SCALE = playbook(
    "more",
    when="{causes: [traffic]}",
    steps="do: scale, add: 1, compensate: [{do: scale, add: -1}]\ndo: run-command, command: boom",
    more="  commands: {boom: {argv: ['{python}', -c, 'import sys; print(\"it is {service}\"); sys.exit(3)']}}\n",
)


def instances(context):
    with context.store.read() as unit:
        return unit.fleets.instances_of("shop", PRODUCTION, "1.0")


def log_of(context, incident_id):
    with context.store.read() as unit:
        return [entry.text for entry in unit.incident_log.read(incident_id, after=0, limit=500)]


def test_a_bad_release_is_given_back_and_the_incident_ends_when_users_have_what_they_had_before(context, tmp_path):
    declare(context, tmp_path / "c", ROLL_BACK)
    add_service(context, spec=service_spec(strategy="blue-green", blue_green={"watch_s": 2.5, "keep_warm_s": 600}), live="1.0")
    had_traffic(context, "1.0", ago_s=200, seconds=150)
    with running(HandMadeAgent(context, rate=200)):
        release = release_it(context, request(context))
        incident = open_incident(context)
        response = begin(
            context, ledger(incident, context, CauseKind.RELEASE, release.title, {"step": "roll-back", "release_id": release.id}), incident
        )
        ended = carry_out(context, response.id)
        assert (ended.state, [step.state for step in ended.steps]) == (ResponseState.SUCCEEDED, ["done", "done"]), ended
        assert (stored(context, release.id).phase, stored(context, release.id).cause) == (Phase.ROLLED_BACK, Cause.INCIDENT)
        assert traffic(context).baseline_version == "1.0"
        assert conclude_response(context, response.id).state == "watching"
        with context.store.read() as unit:
            assert unit.incidents.get(incident).status.value == "mitigated"
            assert unit.incidents.find(incident)["impact"]["release_id"] == release.id
    assert any("roll back" in line for line in log_of(context, incident))


@pytest.mark.parametrize(
    ("kind", "probability", "why"),
    [
        (CauseKind.RELEASE, 0.5, "it takes 75%"),
        (CauseKind.UNKNOWN, 0.9, "nothing that was looked at"),
        (CauseKind.HOST, 0.9, "not for cause host"),
    ],
)
def test_a_doubtful_cause_moves_nothing_and_pages_a_person(context, tmp_path, kind, probability, why):
    declare(context, tmp_path / "c", ROLL_BACK)
    add_service(context, live="1.0")
    incident = open_incident(context)
    response = begin(context, ledger(incident, context, kind, "x", {"release_id": "x"}, probability=probability), incident)
    assert (response.playbook, response.state) == (PAGE_A_PERSON, ResponseState.RUNNING)
    assert why in response.why
    ended = carry_out(context, response.id)
    assert ended.state is ResponseState.HANDED_OVER
    assert not ended.acted


def test_a_hold_of_a_person_is_stronger_than_any_playbook_until_it_is_lifted(context, tmp_path):
    declare(context, tmp_path / "c", SCALE)
    add_service(context, live="1.0")
    hold = hold_responses(context, HoldWish("we are looking", service="shop", for_s=600), actor=SOMEBODY)
    first = open_incident(context)
    held = begin(context, ledger(first, context, CauseKind.TRAFFIC, "twice the traffic", {}), first)
    assert (held.playbook, "tester holds it: we are looking" in held.why) == (PAGE_A_PERSON, True)
    lift_hold(context, hold.id, reason="done", actor=SOMEBODY)
    with pytest.raises(ConflictError, match="lifted before"):
        lift_hold(context, hold.id, reason="done", actor=SOMEBODY)
    second = open_incident(context)
    assert begin(context, ledger(second, context, CauseKind.TRAFFIC, "twice the traffic", {}), second).playbook == "more"


def test_a_service_that_wants_to_be_told_is_not_rolled_back(context, tmp_path):
    declare(context, tmp_path / "c", ROLL_BACK)
    add_service(context, spec=service_spec(on_incident="tell"), live="1.0")
    incident = open_incident(context)
    response = begin(context, ledger(incident, context, CauseKind.RELEASE, "2.0", {"release_id": incident}), incident)
    assert response.playbook == PAGE_A_PERSON
    assert "on_incident: tell" in response.why


def test_what_a_failed_playbook_did_is_undone_and_somebody_is_paged(context, tmp_path):
    declare(context, tmp_path / "c", SCALE)
    add_service(context, live="1.0")
    with running(HandMadeAgent(context)):
        wait_until(lambda: len(instances(context)) == 2)
        incident = open_incident(context)
        response = begin(context, ledger(incident, context, CauseKind.TRAFFIC, "twice the traffic", {}), incident)
        ended = carry_out(context, response.id)
        wait_until(lambda: len(instances(context)) == 2)
    assert ended.state is ResponseState.FAILED
    assert [(step.role, step.do, step.state) for step in ended.steps] == [
        ("step", "scale", "done"), ("step", "run-command", "failed"), ("undo", "scale", "done"), ("undo", "page", "done"),
    ]  # fmt: skip
    assert "it is shop" in ended.steps[1].result
    with context.store.read() as unit:
        assert unit.fleets.find("shop", PRODUCTION, "1.0").desired == 2


def test_the_same_thing_is_not_done_again_and_again_within_an_hour(context, tmp_path):
    steps = "do: scale, add: 1"
    declare(context, tmp_path / "c", playbook("more", when="{causes: [traffic]}", steps=steps))
    add_service(context, live="1.0")
    names = []
    with running(HandMadeAgent(context)):
        wait_until(lambda: len(instances(context)) == 2)
        for _ in range(2):
            incident = open_incident(context)
            response = begin(context, ledger(incident, context, CauseKind.TRAFFIC, "twice the traffic", {}), incident)
            names.append(response.playbook)
            carry_out(context, response.id)
    assert names == ["more", PAGE_A_PERSON]
    with context.store.read() as unit:
        assert unit.fleets.find("shop", PRODUCTION, "1.0").desired == 3


def test_an_ailing_instance_is_replaced_after_its_substitute_serves(context, tmp_path):
    declare(context, tmp_path / "c", playbook("replace", when="{causes: [instance]}", steps="do: restart, which: ailing"))
    add_service(context, live="1.0")
    with running(CarefulAgent(context)):
        wait_until(lambda: len(instances(context)) == 2)
        ailing = instances(context)[0].id
        incident = open_incident(context)
        response = begin(context, ledger(incident, context, CauseKind.INSTANCE, ailing, {"step": "restart", "instance": ailing}), incident)
        fewest = 2
        while not (found := advance_response(context, response.id, holder="one", keep=True)).ended:
            healthy = [each for each in instances(context) if each.state is InstanceState.HEALTHY and each.id != ailing]
            fewest = min(fewest, len([each for each in instances(context) if each.state is InstanceState.HEALTHY]))
            time.sleep(0.01)
        assert found.state is ResponseState.SUCCEEDED
        assert (ailing in {each.id for each in instances(context)}, len(instances(context)), fewest) == (False, 2, 2)
        assert len(healthy) >= 1


def test_a_flag_is_switched_off_where_the_incident_is_and_nowhere_else(context, tmp_path):
    declare(context, tmp_path / "c", playbook("switch-off", when="{causes: [flag]}", steps="do: disable-flag"))
    add_service(context, live="1.0")
    create_flag(context, "new-checkout", venture="apollo", spec=FlagSpec.model_validate({"owner": "mia"}), actor=SOMEBODY)
    incident = open_incident(context)
    response = begin(context, ledger(incident, context, CauseKind.FLAG, "new-checkout", {"flag": "new-checkout"}), incident)
    assert carry_out(context, response.id).state is ResponseState.SUCCEEDED
    with context.store.read() as unit:
        live = unit.flags.get("new-checkout").state.live
    assert {place.value for place, each in live.items() if each.killed} == {"production"}


def test_a_dry_run_says_what_it_would_do_and_does_nothing(context, tmp_path):
    declare(context, tmp_path / "c", SCALE)
    add_service(context, live="1.0")
    incident = open_incident(context)
    response = begin(context, ledger(incident, context, CauseKind.TRAFFIC, "twice", {}), incident, mode="dry-run")
    assert [step.state for step in response.steps] == ["skipped", "skipped"]
    assert response.steps[0].result == "would run +1 instances of shop, at most 8, within 60 s; undone by scale"
    assert list_responses(context, incident, actor=SOMEBODY) == []
    assert len(list_responses(context, incident, actor=SOMEBODY, dry_runs=True)) == 1
    with context.store.read() as unit:
        assert unit.fleets.find("shop", PRODUCTION, "1.0").desired == 2


def test_whoever_was_taken_over_or_stopped_can_write_nothing_more(context, tmp_path):
    declare(context, tmp_path / "c", SCALE)
    add_service(context, live="1.0")
    incident = open_incident(context)
    response = begin(context, ledger(incident, context, CauseKind.TRAFFIC, "twice", {}), incident)
    with context.store.write() as unit:
        mine = unit.responses.take(response.id, holder="a", now=context.clock.now(), ttl=timedelta(seconds=10))
    with context.store.write() as unit:
        assert unit.responses.take(response.id, holder="b", now=context.clock.now(), ttl=timedelta(seconds=10)) is None
    stop_response(context, response.id, reason="a person does it", actor=SOMEBODY)
    with pytest.raises(TakenOverError), context.store.write() as unit:
        unit.responses.set_step(mine, mine.steps[0], state="done")
    assert read(context, response.id).state is ResponseState.STOPPED
    assert advance_response(context, response.id, holder="b", keep=False).steps[0].state == "pending"


def test_an_incident_has_one_response_at_a_time_however_many_begin_one(context, tmp_path):
    declare(context, tmp_path / "c", SCALE)
    add_service(context, live="1.0")
    incident = open_incident(context)
    found = ledger(incident, context, CauseKind.TRAFFIC, "twice", {})
    begin(context, found, incident)
    with pytest.raises(ConflictError, match="stop it first"):
        begin(context, found, incident)


CRASHING = """
import os, sys
from productops.usecases.incident_respond import advance_response
from tests.support import make_context
print("ready", flush=True)
for number in sys.stdin:
    if (child := os.fork()) == 0:
        context = make_context(sys.argv[1])
        print(os.getpid(), flush=True)
        while not advance_response(context, sys.argv[2], holder=f"run {number}", keep=True).ended:
            pass
        os._exit(0)
    os.waitpid(child, 0)
    print("over", flush=True)
"""


def test_whoever_carries_it_out_may_be_killed_at_any_moment_and_nothing_is_done_twice(context, tmp_path):
    ran = tmp_path / "ran"
    command = f"  commands: {{note: {{argv: ['{{python}}', -c, \"open('{ran}', 'a').write('x')\"], repeatable: false}}}}\n"
    declare(
        context,
        tmp_path / "c",
        playbook("more", when="{causes: [traffic]}", steps="do: scale, add: 1\ndo: run-command, command: note", more=command),
    )
    add_service(context, live="1.0")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PRODUCTOPS_", "PREFECT_"))}
    with running(HandMadeAgent(context)):
        wait_until(lambda: len(instances(context)) == 2)
        incident = open_incident(context)
        response = begin(context, ledger(incident, context, CauseKind.TRAFFIC, "twice", {}), incident)
        forking = [sys.executable, "-c", CRASHING, context.store.url, response.id]
        parent = subprocess.Popen(forking, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        assert parent.stdout.readline() == "ready\n"
        for number in range(4):
            parent.stdin.write(f"{number}\n")
            child = int(parent.stdout.readline())
            time.sleep(random.uniform(0.0, 0.06))
            os.kill(child, signal.SIGKILL)
            assert parent.stdout.readline() == "over\n"
            with context.store.write() as unit:  # as if its ten seconds were over
                found = unit.responses.get(response.id)
                if not found.ended:
                    unit.responses.let_go(found)
        parent.communicate()
        ended = carry_out(context, response.id, holder="last")
    with context.store.read() as unit:
        assert unit.fleets.find("shop", PRODUCTION, "1.0").desired == 3
    times = len(ran.read_text()) if ran.exists() else 0
    if ended.state is ResponseState.SUCCEEDED:
        assert times == 1
    else:  # nobody knew whether it had run: then it is a person's
        assert (times <= 1, "nobody knows whether it ended" in ended.reason) == (True, True)


def test_a_playbook_that_is_wrong_is_told_with_its_line(context, tmp_path):
    with pytest.raises(CatalogError) as caught:
        declare(context, tmp_path / "c", playbook("bad", steps="do: run-command, command: nothing"))
    assert "nothing" in str(caught.value)
    assert list_playbooks(context, actor=SOMEBODY) == []
