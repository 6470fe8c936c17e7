"""Release, wait, roll back and resume from a shell."""

import json
import os
import pty
import select
import signal
import threading
import time

import pytest

from productops.domain.release import Phase
from tests.support import PRODUCTION

QUICK = ("--weights", "20", "--hold", "2.2")


def newest(cli):
    with cli.context.store.read() as unit:
        return unit.releases.newest(service=None, environment=None, before=None, limit=1)[0]


def move(cli, release_id, *phases):
    for phase in phases:
        with cli.context.store.write() as unit:
            unit.releases.move(release_id, phase, actor="flow", reason=f"became {phase}", now=cli.context.clock.now())


def test_a_release_is_accepted_and_says_how_to_follow_it(cli):
    result = cli.run("release", "shop", "2.0", "--note", "the new basket", "--weights", "5,50", "--hold", "9")
    release = newest(cli)
    assert result.code == 0
    assert release.id in result.out
    assert f"http://prefect.test/runs/flow-run/run-of-{release.id}" in result.out
    assert [(s.weight_pct, s.hold_s) for s in release.steps] == [(5, 9), (50, 9)]
    assert release.plan["note"] == "the new basket"


def test_json_is_one_object_on_standard_output(cli):
    result = cli.run("release", "shop", "2.0", "--json")
    assert json.loads(result.out)["id"] == newest(cli).id
    assert result.err == ""


def test_the_same_key_makes_one_release(cli):
    first = json.loads(cli.run("release", "shop", "2.0", "--json", "--idempotency-key", "ci-17").out)
    second = json.loads(cli.run("release", "shop", "2.0", "--json", "--idempotency-key", "ci-17").out)
    assert first["id"] == second["id"]


def test_a_plan_shows_the_steps_and_releases_nothing(cli):
    result = cli.run("release", "shop", "2.0", "--plan")
    assert result.code == 0
    assert "shop 1.0 → 2.0" in result.out
    assert "20 %" in result.out
    assert "no releases" in cli.run("releases").out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("shop", "1.0"), 75, "already"),
        (("shop", "0.9"), 64, "--force-downgrade"),
        (("shop", "9.9"), 66, "was not found"),
        (("nobody", "2.0"), 66, "no service 'nobody'"),
        (("shop", "2.0", "--weights", "50,20"), 64, "must rise"),
        (("shop", "2.0", "--strategy", "blue-green", "--weights", "5"), 64, "canary"),
        (("shop", "a/../b"), 66, "nothing at this path"),
        (("shop", ""), 64, "not usable"),
        (("shop", "2.0", "--weights", "5,x"), 2, "--weights"),
        (("shop", "2.0", "--strategy", "yolo"), 2, "--strategy"),
        (("shop",), 2, "version"),
    ],
)
def test_what_cannot_be_released_is_a_sentence_and_an_exit_code(cli, arguments, code, words):
    for more in ((), ("--plan",)):
        result = cli.run("release", *arguments, *more)
        assert result.code == code
        assert words.lower() in result.err.lower()
        assert "Traceback" not in result.err
        assert result.out == ""


def test_with_json_an_error_is_an_object_too(cli):
    result = cli.run("release", "shop", "1.0", "--json")
    assert (result.code, json.loads(result.out)["slug"]) == (75, "already-live")


def test_waiting_for_a_good_version_ends_with_0_and_tells_every_step(flows):
    result = flows.run("release", "shop", "2.0", "--wait", *QUICK)
    assert result.code == 0, result.err
    for words in ("requested by owner", "deploying", "step 1: 20 % of the traffic", "candidate 80/s", "step 1 passed", "promoted"):
        assert words in result.out
    assert result.out.rstrip().endswith("shop 2.0 is what users in production have now.")


def test_waiting_for_a_bad_version_ends_with_4(flows):
    flows.agent.failure_share["2.0"] = 0.5
    result = flows.run("release", "shop", "2.0", "--wait", "--json", "--weights", "20", "--hold", "30")
    assert result.code == 4
    assert json.loads(result.out)["phase"] == "rolled_back"
    events = [json.loads(line) for line in result.err.splitlines()]
    assert events[0]["type"] == "requested"
    assert events[-1]["payload"]["to"] == "rolled_back"
    assert any(e["type"] == "look" and e["payload"]["verdict"] == "failed" for e in events)


def test_waiting_for_a_version_that_never_becomes_healthy_ends_with_3(flows):
    flows.agent.unhealthy = frozenset({"2.0"})
    result = flows.run("release", "shop", "2.0", "--wait")
    assert result.code == 3
    assert "never reached users (unhealthy)" in result.out


def test_waiting_ends_with_5_when_the_time_is_over(cli):
    started = time.monotonic()
    result = cli.run("release", "shop", "2.0", "--wait", "--timeout", "1")
    assert result.code == 5
    assert time.monotonic() - started < 4
    assert newest(cli).id in result.err
    assert not newest(cli).ended


def test_ctrl_c_leaves_the_release_running_and_says_how_to_roll_it_back(cli):
    process = cli.start("release", "shop", "2.0", "--wait")
    assert "requested" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert f"productops rollback {newest(cli).id}" in err
    assert "Traceback" not in err
    assert newest(cli).phase is Phase.REQUESTED


def test_waiting_survives_a_restart_of_the_api(alone):
    process = alone.start("release", "shop", "2.0", "--wait", "--json")
    assert json.loads(process.stderr.readline())["type"] == "requested"
    alone.server.close()
    assert json.loads(process.stderr.readline())["type"] == "lost"
    move(alone, newest(alone).id, Phase.DEPLOYING, Phase.FAILED)
    alone.serve()
    out, err = process.communicate(timeout=20)
    told = [json.loads(line) for line in err.splitlines()]
    assert [e["payload"]["to"] for e in told if e["type"] == "phase"] == ["deploying", "failed"]
    assert (process.returncode, json.loads(out)["phase"]) == (3, "failed")


def test_on_a_terminal_the_rollout_is_drawn_live(flows):
    flows.agent.failure_share["2.0"] = 0.5
    ours, theirs = pty.openpty()
    process = flows.start("release", "shop", "2.0", "--wait", "--weights", "20", "--hold", "30", stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    drawn = b""
    while process.poll() is None or select.select([ours], [], [], 0)[0]:
        if select.select([ours], [], [], 0.2)[0]:
            try:
                drawn += os.read(ours, 65_536)
            except OSError:
                break
    os.close(ours)
    assert process.wait(timeout=10) == 4
    text = drawn.decode()
    for words in ("steps", "requests/s", "evidence", "log e", "lease", "s left", "candidate", "baseline", "rolled back", "roll back"):
        assert words in text


def test_a_service_is_rolled_back_by_its_name_and_the_end_awaited(flows):
    asked = json.loads(flows.run("release", "shop", "2.0", "--json", "--weights", "20", "--hold", "600").out)
    deadline = time.monotonic() + 10
    while newest(flows).phase is not Phase.ROLLING_OUT:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    result = flows.run("rollback", "shop", "--reason", "customers cannot pay", "--wait")
    assert result.code == 0
    assert "was rolled back (person): customers cannot pay. Users have 1.0." in result.out
    assert newest(flows).id == asked["id"]


def test_a_release_is_rolled_back_by_its_id(cli):
    release_id = json.loads(cli.run("release", "shop", "2.0", "--json").out)["id"]
    result = cli.run("rollback", release_id, "--reason", "not today", "--json")
    assert (result.code, json.loads(result.out)["phase"]) == (0, "failed")
    assert cli.run("rollback", release_id, "--reason", "again").code == 75
    assert cli.run("rollback", "nobody", "--reason", "x").code == 66
    assert cli.run("rollback", "shop").code == 2


def test_a_roll_back_that_the_router_does_not_confirm_ends_with_5(cli):
    release_id = json.loads(cli.run("release", "shop", "2.0", "--json").out)["id"]
    move(cli, release_id, Phase.DEPLOYING, Phase.ROLLING_OUT)
    result = cli.run("rollback", "shop", "--reason", "stop", "--wait", "--timeout", "1")
    assert result.code == 5
    assert "not confirmed" in result.err


def test_a_paused_release_goes_on_by_id_or_by_service(cli):
    release_id = json.loads(cli.run("release", "shop", "2.0", "--json").out)["id"]
    assert cli.run("resume", release_id, "--reason", "too early").code == 75
    for given in (release_id, "shop"):
        move(cli, release_id, *((Phase.DEPLOYING, Phase.ROLLING_OUT) if given == release_id else ()), Phase.PAUSED)
        result = cli.run("resume", given, "--reason", "I looked")
        assert (result.code, result.out) == (0, "shop 2.0 is rolling out in production.\n")


def test_a_release_is_shown_with_what_a_service_printed_made_harmless(cli):
    release_id = json.loads(cli.run("release", "shop", "2.0", "--json").out)["id"]
    with cli.context.store.write() as unit:
        evidence = {"last_output": "ok\n\x1b[31mred\x1b[0m [bold]\x07"}
        unit.releases.move(release_id, Phase.FAILED, actor="flow", reason="it \x1b[2J died", now=cli.context.clock.now(), evidence=evidence)
    for given in (release_id, "shop"):
        result = cli.run("show", given)
        assert result.code == 0
        assert "last output of the candidate:" in result.out
        assert "[bold]" in result.out
        assert "\x1b" not in result.out
        assert "\x07" not in result.out
    assert json.loads(cli.run("show", "shop", "--json").out)["id"] == release_id
    assert cli.run("show", "nobody").code == 66


def test_releases_and_services_are_listed(cli):
    assert "no releases" in cli.run("releases", "--service", "shop").out
    release_id = json.loads(cli.run("release", "shop", "2.0", "--json").out)["id"]
    assert release_id in cli.run("releases").out
    assert [r["id"] for r in json.loads(cli.run("releases", "--json", "--environment", "production").out)["items"]] == [release_id]
    listed = cli.run("services").out
    assert "shop" in listed
    assert "shop.localhost" in listed
    assert json.loads(cli.run("services", "--json").out)["items"][0]["environments"][0]["live_version"] == "1.0"


def test_without_an_api_every_command_says_how_to_start_one(alone):
    alone.server.close()
    for arguments in (("releases",), ("show", "shop"), ("services",), ("rollback", "shop", "--reason", "x"), ("release", "shop", "2.0")):
        result = alone.run(*arguments)
        assert result.code == 71
        assert "productops up" in result.err


def test_the_token_file_is_used_and_never_shown_to_another_machine(cli, tmp_path):
    home = tmp_path / "other"
    home.mkdir()
    nothing = {"PRODUCTOPS_API_TOKEN": "", "PRODUCTOPS_HOME": str(home)}
    assert cli.run("releases", env=nothing).code == 71
    (home / "token").write_text("a-token-for-tests-only\n")
    (home / "token").chmod(0o600)
    assert cli.run("releases", env=nothing).code == 0
    (home / "token").write_text("wrong\n")
    assert cli.run("releases", env=nothing).code == 77
    away = cli.run("releases", "--api-url", "http://api.example.invalid:1", env=nothing)
    assert away.code == 77
    assert "PRODUCTOPS_TOKEN" in away.err


def test_an_api_that_is_no_api_is_a_sentence(cli):
    import http.server

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, *_):
            return None

    server = http.server.HTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    result = cli.run("releases", "--api-url", f"http://127.0.0.1:{server.server_port}")
    server.shutdown()
    server.server_close()
    assert result.code == 69
    assert "is it the API?" in result.err
    for url in ("http://[", "ftp://127.0.0.1", "127.0.0.1:80", "http://127.0.0.1:99999", "x"):
        assert cli.run("releases", "--api-url", url).code == 64


def test_the_help_does_not_import_what_it_does_not_need():
    import subprocess
    import sys

    heavy = "httpx rich pydantic sqlalchemy uvicorn fastapi prefect numpy"
    code = f"import sys, productops.cli.main; print([m for m in '{heavy}'.split() if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_production_is_the_default_environment(cli):
    cli.run("release", "shop", "2.0")
    assert newest(cli).environment is PRODUCTION
