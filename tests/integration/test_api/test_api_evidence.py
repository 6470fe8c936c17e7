"""The page behind the evidence link."""

from productops.domain.evidence_link import evidence_key, evidence_url
from tests.integration.test_api.support import TOKEN, client_of


def test_the_link_shows_the_release_without_a_token_and_runs_no_script(api):
    release_id = api.ask(note="<script>alert(1)</script>").json()["id"]
    with client_of(api.settings, None) as client:
        page = client.get(evidence_url("", TOKEN, release_id))
    assert page.status_code == 200
    assert "shop 1.0 → 2.0 (production)" in page.text
    assert "<script" not in page.text
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'; img-src data:")


def test_a_key_opens_only_its_own_release(api):
    release_id = api.ask().json()["id"]
    with client_of(api.settings, None) as client:
        for key in ("", "x" * 32, evidence_key(TOKEN, "another"), "ü"):
            answer = client.get(f"/evidence/{release_id}", params={"key": key})
            assert (answer.status_code, answer.headers["Content-Type"]) == (401, "application/problem+json")


def test_a_release_that_does_not_exist_is_not_found(api):
    with client_of(api.settings, None) as client:
        assert client.get(evidence_url("", TOKEN, "nope")).status_code == 404


def test_the_key_does_not_tell_the_token():
    assert TOKEN not in evidence_url("http://h", TOKEN, "r")
