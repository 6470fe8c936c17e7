"""People log in at an identity provider; what it does not prove is not believed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc.jwk import RSAKey

from productops.adapters.oidc import OidcProvider
from productops.domain.governance_access import Grant, Role
from productops.errors import IdentityProviderError, UnauthorizedError
from tests.integration.test_api.support import free_ports
from tests.integration.test_doors.support import CLIENT_SECRET, Door, Provider, door, provider

ME = "/api/v1/access/sessions"


@pytest.fixture(scope="module")
def issuer() -> Iterator[Provider]:
    with provider() as made:
        yield made


@pytest.fixture(scope="module")
def api(issuer: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    base = free_ports()
    more = {"oidc_issuer": issuer.url, "oidc_client_id": issuer.client_id, "oidc_client_secret": CLIENT_SECRET, "port_base": base}
    with door(tmp_path_factory.mktemp("oidc"), oidc_redirect_base=f"http://127.0.0.1:{base}", **more) as made:
        with made.context.store.write() as unit:
            unit.principals.grant(
                Grant(Role.RELEASE_MANAGER, "apollo"), group="release-team", given_by="test", now=made.context.clock.now()
            )
        yield made


@pytest.fixture(autouse=True)
def honest(issuer: Provider) -> Iterator[None]:
    """Every test begins with a provider that does all as the standard says."""
    before = Provider()
    issuer.person, issuer.claims, issuer.header = before.person, {}, {}
    issuer.unsigned = issuer.by_shared_secret = False
    issuer.published = []
    return


def leave(browser: httpx.Client, target: str = "/docs") -> str:
    answer = browser.get("/login/oidc", params={"next": target})
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def come_back(browser: httpx.Client, url: str) -> httpx.Response:
    return browser.get(url)


def test_a_person_logs_in_and_has_the_roles_of_their_groups(api: Door, issuer: Provider) -> None:
    browser = api.browser()
    assert issuer.url in browser.get("/login").text
    answer = come_back(browser, issuer.approve(leave(browser)))
    assert (answer.status_code, answer.headers["location"]) == (303, "/docs")
    assert "<b>ada</b> (release-manager)" in browser.get("/").text
    assert browser.get(ME).json()["items"][0]["way"] == "oidc"
    out = browser.post("/logout", headers={"Origin": api.url})
    assert f"{issuer.url}/logout?client_id=productops" in out.text


def test_groups_are_those_of_the_last_log_in(api: Door, issuer: Provider) -> None:
    issuer.person = {"sub": "gus-1", "preferred_username": "gus", "groups": ["release-team"]}
    first = api.browser()
    come_back(first, issuer.approve(leave(first)))
    issuer.person = issuer.person | {"groups": ["nobody"]}
    second = api.browser()
    refused = come_back(second, issuer.approve(leave(second)))
    assert refused.status_code == 403
    assert "has no role here" in refused.text
    api.app.state.sessions.forget()
    assert "(no role)" in first.get("/").text


def forged(**claims: Any) -> Callable[[Provider], None]:
    def change(issuer: Provider) -> None:
        issuer.claims = claims

    return change


def sign_with_another_key(issuer: Provider) -> None:
    issuer.published = [RSAKey.generate_key(2048, {"kid": "k1"})]


def leave_unsigned(issuer: Provider) -> None:
    issuer.unsigned = True


def use_the_public_key_as_a_secret(issuer: Provider) -> None:
    issuer.by_shared_secret = True


LIES: list[tuple[str, Callable[[Provider], None]]] = [
    ("nonce", forged(nonce="another")), ("no nonce", forged(nonce=None)), ("audience", forged(aud="somebody-else")),
    ("audiences", forged(aud=["somebody-else", "another"])), ("issuer", forged(iss="https://evil.example")),
    ("expired", forged(exp=int(time.time()) - 120)), ("never expires", forged(exp=None)), ("future", forged(iat=int(time.time()) + 3600)),
    ("authorized party", forged(azp="somebody-else")), ("nobody", forged(sub=None)), ("empty subject", forged(sub="")),
    ("alg none", leave_unsigned), ("another key", sign_with_another_key), ("key confusion", use_the_public_key_as_a_secret),
]  # fmt: skip


@pytest.mark.parametrize(("name", "lie"), LIES, ids=[name for name, _ in LIES])
def test_a_token_that_proves_nothing_logs_nobody_in(api: Door, issuer: Provider, name: str, lie: Callable[[Provider], None]) -> None:
    browser = api.browser()
    location = leave(browser)
    lie(issuer)
    _forget_keys(api)
    answer = come_back(browser, issuer.approve(location))
    assert answer.status_code == 401, f"{name}: {answer.text}"
    assert "refused" in answer.text
    assert f"productops-{api.settings.port_base}" not in browser.cookies
    _forget_keys(api)


def _forget_keys(api: Door) -> None:
    """Let the API read the provider's keys anew, as after an hour."""
    layer: Any = api.app.middleware_stack
    while not hasattr(layer, "provider"):
        layer = getattr(layer, "app", None) or layer._app
    layer.provider._keys.value = None


def test_an_answer_counts_once_and_in_the_browser_that_asked(api: Door, issuer: Provider) -> None:
    browser, thief = api.browser(), api.browser()
    url = issuer.approve(leave(browser))
    stolen = come_back(thief, url)
    assert stolen.status_code == 401
    assert "did not begin in this browser" in stolen.text
    spent = come_back(browser, url)  # a state that somebody else has presented is used up
    assert spent.status_code == 401
    url = issuer.approve(leave(browser))
    assert come_back(browser, url).status_code == 303
    assert come_back(browser, url).status_code == 401


def test_a_replayed_code_and_a_changed_state_are_refused(api: Door, issuer: Provider) -> None:
    browser = api.browser()
    first = issuer.approve(leave(browser))
    code = parse_qs(urlsplit(first).query)["code"][0]
    assert come_back(browser, first).status_code == 303
    second = issuer.approve(leave(browser))
    replayed = second.replace(parse_qs(urlsplit(second).query)["code"][0], code)
    answer = come_back(browser, replayed)
    assert answer.status_code == 401
    assert "refused the log-in" in answer.text
    third = issuer.approve(leave(browser))
    assert come_back(browser, third.partition("&state=")[0] + "&state=guessed").status_code == 401


def test_what_the_provider_says_when_it_refuses_is_shown(api: Door) -> None:
    browser = api.browser()
    state = parse_qs(urlsplit(leave(browser)).query)["state"][0]
    answer = browser.get("/login/callback", params={"state": state, "error": "access_denied", "error_description": "<b>not you</b>"})
    assert answer.status_code == 401
    assert "&lt;b&gt;not you&lt;/b&gt;" in answer.text


def test_an_unverified_address_is_nobodys(api: Door, issuer: Provider) -> None:
    with api.context.store.write() as unit:
        now = api.context.clock.now()
        boss = unit.principals.add("boss", kind="person", subject=None, email="boss@example.com", declared_in="x", now=now)
        unit.principals.grant(Grant(Role.ADMIN), person=boss, given_by="test", now=now)
    issuer.person = {"sub": "mallory-1", "preferred_username": "boss", "email": "boss@example.com", "groups": ["release-team"]}
    browser = api.browser()
    come_back(browser, issuer.approve(leave(browser)))
    assert "(admin)" not in browser.get("/").text
    issuer.person = {"sub": "boss-1", "email": "boss@example.com", "email_verified": True}
    real = api.browser()
    come_back(real, issuer.approve(leave(real)))
    assert "<b>boss</b> (admin)" in real.get("/").text


def test_a_provider_that_changed_its_key_is_read_again(issuer: Provider) -> None:
    client = OidcProvider(issuer.url, issuer.client_id, client_secret=CLIENT_SECRET)
    client._key_set(again=False)
    issuer.key = RSAKey.generate_key(2048, {"kid": "k2"})
    client._keys.at -= 60
    url = client.authorization_url(state="s", nonce="n", verifier="v" * 60, redirect_uri="http://127.0.0.1/cb")
    code = parse_qs(urlsplit(issuer.approve(url)).query)["code"][0]
    assert client.identify(code=code, nonce="n", verifier="v" * 60, redirect_uri="http://127.0.0.1/cb").subject == "ada-1"


def test_a_provider_that_is_away_or_another_is_said_plainly(issuer: Provider) -> None:
    with pytest.raises(IdentityProviderError, match="did not answer"):
        OidcProvider("http://127.0.0.1:9", "x", timeout_s=0.5).authorization_url(state="s", nonce="n", verifier="v", redirect_uri="r")
    with pytest.raises(IdentityProviderError, match="calls itself"):
        OidcProvider(f"{issuer.url}/", "x").authorization_url(state="s", nonce="n", verifier="v", redirect_uri="r")
    wrong = OidcProvider(issuer.url, issuer.client_id, client_secret="wrong-secret-of-client")
    url = wrong.authorization_url(state="s", nonce="n", verifier="v" * 60, redirect_uri="r")
    code = parse_qs(urlsplit(issuer.approve(url)).query)["code"][0]
    with pytest.raises(UnauthorizedError, match="refused the log-in") as refused:
        wrong.identify(code=code, nonce="n", verifier="v" * 60, redirect_uri="r")
    assert "wrong-secret" not in str(refused.value)
