"""Browsers log in by a link that works once, stay logged in, and are let out."""

from __future__ import annotations

import ssl
import subprocess
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from threading import Thread

import httpx
import pytest

from productops.cli.api_client import ApiClient
from productops.cli.stack.probes import http_probe
from productops.domain.governance_access import Grant, Operation, Role
from productops.errors import SettingsError, UnauthorizedError
from productops.settings import Settings, load_settings
from productops.usecases.context import Clock
from productops.usecases.governance_sessions import find_login, log_in_by_link, make_link
from tests.integration.test_api.support import TOKEN, client_of, free_ports, person_token
from tests.integration.test_doors.support import Door, door
from tests.support import SOMEBODY

ME = "/api/v1/access/sessions"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with door(tmp_path_factory.mktemp("login")) as made:
        yield made


def test_a_link_logs_a_browser_in_once(api: Door) -> None:
    path = api.link()
    browser = api.browser()
    answer = browser.get(f"{path}&next=/docs")
    assert (answer.status_code, answer.headers["location"]) == (303, "/docs")
    cookie = next(line for line in answer.headers.get_list("set-cookie") if line.startswith(f"productops-{api.settings.port_base}="))
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Secure" not in cookie
    home = browser.get("/")
    assert "<b>owner</b> (admin)" in home.text
    assert browser.get(ME).json()["items"][0]["principal"] == "owner"
    again = api.browser().get(path)
    assert again.status_code == 401
    assert "used or older than 60 s" in again.text


def test_of_many_browsers_that_open_one_link_at_once_one_is_logged_in(api: Door) -> None:
    path = api.link()
    answers: list[int] = []
    threads = [Thread(target=lambda: answers.append(api.browser().get(path).status_code)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [303] + [401] * 7


def test_a_link_is_of_no_use_after_a_minute(api: Door) -> None:
    class Later(Clock):
        def now(self):  # type: ignore[no-untyped-def]
            return super().now() + timedelta(seconds=61)

    made = make_link(api.context, actor=SOMEBODY)
    late = type(api.context)(store=api.context.store, doorbell=api.context.doorbell, lease_ttl_s=1, clock=Later())
    with pytest.raises(UnauthorizedError, match="older than 60 s"):
        log_in_by_link(late, made.code, browser="b")


def test_neither_links_nor_sessions_are_in_the_database_in_clear(api: Door) -> None:
    path = api.link()
    browser = api.browser()
    browser.get(path)
    secret = browser.cookies[f"productops-{api.settings.port_base}"]
    database = Path(api.settings.sqlalchemy_url.removeprefix("sqlite:///"))
    whole = b"".join(file.read_bytes() for file in database.parent.glob(f"{database.name}*"))  # with what is not merged into it yet
    assert secret.encode() not in whole
    assert path.partition("code=")[2].encode() not in whole
    assert b"browser_sessions" in whole


def test_who_is_lost_is_led_to_the_log_in_and_programs_are_refused(api: Door) -> None:
    answer = api.browser().get("/prefect/v2/runs?tab=1", headers={"Sec-Fetch-Mode": "navigate"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=%2Fprefect%2Fv2%2Fruns%3Ftab%3D1")
    with client_of(api.settings, None) as program:
        refused = program.get("/prefect/api/flows/filter")
        assert (refused.status_code, refused.headers["content-type"]) == (401, "application/problem+json")
    assert "productops login" in api.browser().get("/login").text


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "/a\nb"])
def test_a_log_in_never_leads_to_another_site(api: Door, target: str) -> None:
    answer = api.browser().get(api.link(), params={"code": api.link().partition("code=")[2], "next": target})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/"


def test_logging_out_ends_the_session_and_not_only_the_cookie(api: Door) -> None:
    browser = api.logged_in()
    kept = dict(browser.cookies)
    answer = browser.post("/logout", headers={"Origin": api.url})
    assert answer.status_code == 200
    assert "Logged out" in answer.text
    thief = api.browser()
    thief.cookies.update(kept)
    assert thief.get(ME, headers={"Accept": "application/json"}).status_code == 401
    assert {"login.link-made", "login.in", "login.out"} <= set(api.actions())


def test_a_person_sees_and_ends_their_own_sessions_and_nobody_elses(api: Door) -> None:
    ada = api.program(person_token(api.context, "ada", Grant(Role.DEVELOPER, "apollo")))
    bob = api.program(person_token(api.context, "bob", Grant(Role.VIEWER)))
    mine = api.logged_in(ada)
    found = ada.get(ME).json()["items"]
    assert [each["principal"] for each in found] == ["ada"]
    assert bob.get(ME).json()["items"] == []
    assert bob.get(ME, params={"everybody": True}).status_code == 403
    assert bob.post(f"{ME}/{found[0]['id']}/end", json={}).status_code == 403
    assert mine.get(ME).status_code == 200
    assert ada.post(f"{ME}/{found[0]['id']}/end", json={}).json()["principal"] == "ada"
    assert mine.get(ME, headers={"Accept": "application/json"}).status_code == 401
    assert ada.post(f"{ME}/{found[0]['id']}/end", json={}).status_code == 404
    everybody = api.owner.get(ME, params={"everybody": True}).json()["items"]
    assert "owner" in {each["principal"] for each in everybody}


def test_a_session_may_do_no_more_than_the_token_it_came_from_and_ends_with_it(api: Door) -> None:
    token = person_token(api.context, "eve", Grant(Role.ADMIN), operations=frozenset({Operation.TOKEN_OWN, Operation.RELEASE_READ}))
    browser = api.logged_in(api.program(token))
    json_only = {"Accept": "application/json"}
    assert browser.get("/api/v1/product-ops/releases", headers=json_only).status_code == 200
    assert browser.get("/api/v1/audit/entries", headers=json_only).status_code in {403, 404}
    with api.context.store.write() as unit:
        unit.tokens.revoke(token.split("_")[1], now=api.context.clock.now())
    api.app.state.sessions.forget()
    assert browser.get("/api/v1/product-ops/releases", headers=json_only).status_code == 401


def test_a_revoked_session_is_out_everywhere_within_five_seconds(api: Door) -> None:
    made = log_in_by_link(api.context, make_link(api.context, actor=_owner_actor()).code, browser="b")
    browser = api.browser()
    browser.cookies.set(f"productops-{api.settings.port_base}", made.secret)
    json_only = {"Accept": "application/json"}
    assert browser.get(ME, headers=json_only).status_code == 200
    with api.context.store.write() as unit:  # as another process of the API would
        unit.browser_sessions.end(made.session.id, now=api.context.clock.now())
    deadline = time.monotonic() + 6
    while browser.get(ME, headers=json_only).status_code != 401:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_session_that_is_left_alone_ends(api: Door) -> None:
    made = log_in_by_link(api.context, make_link(api.context, actor=_owner_actor()).code, browser="b")
    assert find_login(api.context, made.secret, idle=timedelta(hours=12)) is not None
    assert find_login(api.context, made.secret, idle=timedelta(0)) is None


def _owner_actor():  # type: ignore[no-untyped-def]
    from productops.domain.governance_access import Principal
    from productops.usecases.context import Actor

    principal = Principal("owner", (Grant(Role.ADMIN),))
    return Actor("owner", "test", principal)


# ---- strangers' pages


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({}, 403),
        ({"X-ProductOps-Csrf": "guessed"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 201),
    ],
)
def test_a_write_with_a_cookie_must_come_from_our_own_page(api: Door, headers: dict[str, str], status: int) -> None:
    assert api.logged_in().post("/api/v1/access/login-links", json={}, headers=headers).status_code == status


def test_our_own_origin_and_the_double_submit_let_a_write_through(api: Door) -> None:
    browser = api.logged_in()
    assert browser.post("/api/v1/access/login-links", json={}, headers={"Origin": api.url}).status_code == 201
    csrf = browser.cookies[f"productops-csrf-{api.settings.port_base}"]
    assert browser.post("/api/v1/access/login-links", json={}, headers={"X-ProductOps-Csrf": csrf}).status_code == 201


def test_another_port_of_this_machine_is_another_origin(api: Door) -> None:
    answer = api.logged_in().post("/api/v1/access/login-links", json={}, headers={"Origin": "http://127.0.0.1:1"})
    assert answer.status_code == 403


def test_a_program_with_a_token_needs_no_origin(api: Door) -> None:
    assert api.owner.post("/api/v1/access/login-links", json={}, headers={"Origin": "http://evil.example"}).status_code == 201


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8700", "127.0.0.1.nip.io", "[fd00::1]", "localhost.evil.example", ""])
def test_other_names_than_ours_are_refused_so_that_rebinding_a_name_gains_nothing(api: Door, host: str) -> None:
    answer = api.owner.get("/docs", headers={"Host": host})
    assert answer.status_code in {421, 400}
    assert api.owner.get("/healthz", headers={"Host": "10.0.0.7:8700"}).status_code == 200


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:1", "[::1]:8700", "LOCALHOST."])
def test_names_of_this_machine_are_ours(api: Door, host: str) -> None:
    assert api.owner.get("/docs", headers={"Host": host}).status_code == 200


# ---- other machines


def test_settings_refuse_to_be_open_in_clear(tmp_path: Path) -> None:
    for wrong, said in (
        ({"host": "0.0.0.0"}, "PRODUCTOPS_API_TOKEN"),
        ({"host": "0.0.0.0", "api_token": "x" * 20}, "without TLS"),
        ({"tls_certificate": tmp_path / "c"}, "needs both"),
        ({"behind_proxy": "the proxy"}, "no address or network"),
        ({"oidc_issuer": "https://id.example"}, "PRODUCTOPS_OIDC_CLIENT_ID"),
        ({"oidc_issuer": "http://id.example", "oidc_client_id": "x"}, "https://"),
        ({"oidc_redirect_base": "ftp://ops.example"}, "https://"),
    ):
        with pytest.raises(SettingsError, match=said):
            load_settings(home=tmp_path, **wrong)
    Settings(home=tmp_path, host="0.0.0.0", api_token="x" * 20, behind_proxy="10.0.0.0/24")  # type: ignore[arg-type]


def test_behind_a_proxy_its_word_counts_and_nobody_elses(tmp_path: Path) -> None:
    with door(tmp_path, behind_proxy="127.0.0.1", public_names="ops.example, ops.internal", host="0.0.0.0") as made:
        told = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "ops.example", "X-Forwarded-For": "203.0.113.9"}
        browser = made.browser()
        answer = browser.get(made.link(), headers=told)
        cookie = answer.headers.get_list("set-cookie")[0]
        assert "; Secure" in cookie
        secret = cookie.partition(";")[0]
        ours = told | {"Cookie": secret, "Origin": "https://ops.example"}
        assert browser.post("/api/v1/access/login-links", json={}, headers=ours).status_code == 201
        assert browser.post("/api/v1/access/login-links", json={}, headers=ours | {"Origin": "http://ops.example"}).status_code == 403
        assert made.owner.get("/docs", headers={"X-Forwarded-Host": "evil.example"}).status_code == 421
    other = tmp_path / "other"
    other.mkdir()
    with door(other, behind_proxy="10.9.9.9", public_names="ops.example", host="0.0.0.0") as made:
        answer = made.browser().get(made.link(), headers=told)  # this address is no proxy: its word is dropped
        assert "; Secure" not in answer.headers.get_list("set-cookie")[0]
        assert made.owner.get("/docs", headers={"X-Forwarded-Host": "evil.example"}).status_code == 200
        assert made.owner.get("/docs", headers={"Host": "evil.example", "X-Forwarded-Host": "ops.example"}).status_code == 421


def test_with_a_certificate_the_api_speaks_tls_and_nothing_else(tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout", str(key),
               "-out", str(certificate), "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    from productops.api.app import create_app
    from productops.api.server import listen, make_server
    from tests.support import make_context, sqlite_url

    context = make_context(sqlite_url(tmp_path))
    settings = Settings(
        home=tmp_path / "home", port_base=free_ports(), api_token=TOKEN, tls_certificate=certificate, tls_key=key,  # type: ignore[arg-type]
        database_url=sqlite_url(tmp_path),
    )  # fmt: skip
    assert settings.api_url.startswith("https://")
    with pytest.raises(SettingsError, match="cannot be used"):
        make_server(create_app(context, settings), tls_certificate=certificate, tls_key=certificate)
    server = make_server(create_app(context, settings), tls_certificate=certificate, tls_key=key)
    thread = Thread(target=server.run, kwargs={"sockets": [listening := listen(settings.host, settings.api_port)]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        trusted = ssl.create_default_context(cafile=str(certificate))
        with httpx.Client(verify=trusted, trust_env=False, headers={"Authorization": f"Bearer {TOKEN}"}) as client:
            path = client.post(f"{settings.api_url}/api/v1/access/login-links", json={}).json()["path"]
            answer = client.get(f"{settings.api_url}{path}")
            assert "; Secure" in answer.headers.get_list("set-cookie")[0]
            with pytest.raises(httpx.HTTPError):
                client.get(f"http://127.0.0.1:{settings.api_port}/healthz")
        assert http_probe(f"{settings.api_url}/healthz").passes()
        ours = ApiClient(settings.api_url, TOKEN, certificate=certificate)
        assert ours.get("/api/v1/access/me")["name"] == "owner"
        ours.close()
        with pytest.raises(SettingsError, match="PRODUCTOPS_TLS_CERTIFICATE"):
            ApiClient(settings.api_url, TOKEN, certificate=tmp_path / "nothing.pem")
    finally:
        server.should_exit = True
        thread.join(10)
        listening.close()
