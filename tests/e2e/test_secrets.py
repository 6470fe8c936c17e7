"""A real stack is worked with, also wrongly; afterwards no secret lies where somebody could find it."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import httpx
import psutil
import pytest

from productops.domain.governance_access import Grant, Role
from productops.domain.release import Phase
from productops.usecases.context import Context
from tests.e2e.conftest import Shop
from tests.e2e.real_stack import API, RealStack
from tests.integration.test_api.support import person_token
from tests.support import Silent

pytestmark = pytest.mark.slow
IN_A_URL = "pw-in-a-url-93x7"
WRONG_TOKEN = "po_0123456789ab_" + "d" * 64


def test_no_secret_lies_in_logs_answers_databases_or_command_lines(shop: Shop) -> None:
    stack = shop.stack
    base = f"http://127.0.0.1:{stack.port_base}"
    owner = (stack.home / "token").read_text(encoding="utf-8").strip()
    prefect = (stack.home / "prefect-auth").read_text(encoding="utf-8").strip()
    context = Context(store=stack.store, doorbell=Silent(), lease_ttl_s=stack.lease_s)
    person = person_token(context, "secretive", Grant(Role.RELEASE_MANAGER))
    secrets = {"owner's token": owner, "Prefect's secret": prefect, "person's token": person, "wrong token": WRONG_TOKEN,
               "password in a URL": IN_A_URL}  # fmt: skip
    answers = [*_work(stack, base, person=person), *_work_wrongly(base, owner=owner)]
    link = stack.log_in_link()
    with httpx.Client(trust_env=False, timeout=20) as browser:
        assert browser.get(link).status_code == 303
        secrets |= {"code of a link": link.partition("code=")[2], "session": browser.cookies[f"productops-{stack.port_base}"]}
        answers += [browser.get(f"{base}/prefect/api/admin/settings").text, browser.get(link).text, browser.get(f"{base}/").text]
    said = stack.run("status", "--json").stdout + stack.run("doctor").stdout
    places = {f"answer {number}": text for number, text in enumerate(answers)} | {"status": said} | dict(_files(stack))
    found = [f"{what} is in {where}" for where, text in places.items() for what, secret in secrets.items() if secret in text]
    assert not found
    lines = dict(_command_lines(stack))
    assert len(lines) > 5
    assert not [f"{what}: {line}" for line in lines.values() for what, secret in secrets.items() if secret in line]
    # What was looked through really is what happened.
    assert "too many wrong tokens" not in places["status"]
    assert "shop 1." in places["prefect.db"]
    assert "login.in" in places["productops.db"]


def _work(stack: RealStack, base: str, *, person: str) -> Iterator[str]:
    """A release through the API and a refused one through Prefect, as a person."""
    headers = {"Authorization": f"Bearer {person}"}
    with httpx.Client(base_url=base, headers=headers, trust_env=False, timeout=20) as client:
        live = stack.target().baseline_version
        version = "1.1.0" if live == "1.0.0" else "1.0.0"
        wish = {"service": "shop", "weights_pct": [50], "hold_s": 2.2, "force_downgrade": True, "on_inconclusive": "proceed"}
        asked = client.post(f"{API}/release/{version}", json=wish | {"note": "see the runbook"})
        assert asked.status_code == 202, asked.text
        stack.await_phase(asked.json()["id"], Phase.PROMOTED)
        stack.await_settled()
        yield asked.text
        yield client.get(f"{API}/releases").text
        answer = client.get("/prefect/api/csrf-token", params={"client": "secrets"})
        csrf = {"Prefect-Csrf-Client": "secrets", "Prefect-Csrf-Token": answer.json()["token"]}
        deployment = client.get("/prefect/api/deployments/name/release/release").json()["id"]
        body = {"parameters": {"service": f"https://u:{IN_A_URL}@host/x", "version": "9"}}
        yield client.post(f"/prefect/api/deployments/{deployment}/create_flow_run", json=body, headers=csrf).text
        run = stack.prefect.start(service="nothing-known", version="9")  # refused by the flow itself, in Prefect's own records
        yield str(stack.prefect.await_state(run, "Refused"))


def _work_wrongly(base: str, *, owner: str) -> Iterator[str]:
    """Wrong tokens, and errors with a password in them."""
    with httpx.Client(base_url=base, trust_env=False, timeout=20) as client:
        for header in (f"Bearer {WRONG_TOKEN}", f"Basic {WRONG_TOKEN}", WRONG_TOKEN):
            answer = client.get(f"{API}/releases", headers={"Authorization": header})
            assert answer.status_code == 401
            yield answer.text
        mine = {"Authorization": f"Bearer {owner}"}
        yield client.post(f"{API}/release/9.9.9", json={"service": f"https://u:{IN_A_URL}@host/x"}, headers=mine).text
        yield client.get(f"{API}/releases/https%3A%2F%2Fu%3A{IN_A_URL}%40host", headers=mine).text
        yield client.get(f"/login?code={WRONG_TOKEN}", headers={"Accept": "text/html"}).text


def _files(stack: RealStack) -> Iterator[tuple[str, str]]:
    """Every log, and both databases with what is not yet in their main files."""
    for path in sorted((stack.home / "logs").rglob("*")):
        if path.is_file():
            yield str(path), path.read_text(encoding="utf-8", errors="replace")
    for path in (stack.database, stack.home / "prefect" / "prefect.db"):
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'").fetchall()
            rows = (row for (table,) in tables for row in connection.execute(f'SELECT * FROM "{table}"'))
            yield path.name, "\n".join(_words(value) for row in rows for value in row)
    for path in (stack.home / "run").iterdir():
        if path.is_file():
            yield path.name, path.read_text(encoding="utf-8", errors="replace")


def _words(value: object) -> str:
    """What a column says; lines of logs are packed."""
    if isinstance(value, bytes):
        with suppress(zlib.error):
            value = zlib.decompress(value)
        return value.decode("utf-8", "replace")
    return str(value)


def _command_lines(stack: RealStack) -> Iterator[tuple[int, str]]:
    for process in stack.belongings():
        with suppress(psutil.Error, OSError):
            yield process.pid, Path(f"/proc/{process.pid}/cmdline").read_text(encoding="utf-8", errors="replace")


def test_the_secret_of_prefect_opens_its_own_command_line_for_the_owner(shop: Shop) -> None:
    said = shop.stack.run("prefect-env")
    assert said.returncode == 0, said.stderr
    variables = dict(line.removeprefix("export ").split("=", 1) for line in said.stdout.splitlines())
    assert variables["PREFECT_API_URL"] == f"http://127.0.0.1:{shop.stack.port_base + 1}/api"
    answer = shop.stack.prefect.http.get("/flows/name/release")
    assert answer.status_code == 200
    assert json.loads(answer.text)["name"] == "release"
