"""Who a webhook is from, and that nothing in it can fool or break the check."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from productops.adapters.webhook_signatures import check_signature, delivery_key, standard_signature
from productops.domain.catalog_webhooks import WebhookSourceSpec
from productops.domain.governance_webhooks import WebhookSource

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
SECRETS = ("the-new-secret", "the-old-secret")
BODY = b'{"action": "published"}'


def source(provider: str, **spec: object) -> WebhookSource:
    return WebhookSource(
        "s", "apollo", WebhookSourceSpec.model_validate({"provider": provider, "secrets": ["PRODUCTOPS_SECRET_A"], **spec})
    )


def hexdigest(secret: str, body: bytes = BODY) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


def standard(secret: str, *, at: datetime = NOW, body: bytes = BODY) -> dict[str, str]:
    stamp = int(at.timestamp())
    return {
        "webhook-id": "msg_1", "webhook-timestamp": str(stamp),
        "webhook-signature": standard_signature(secret, message_id="msg_1", timestamp_s=stamp, body=body),
    }  # fmt: skip


def good(way: str, secret: str) -> tuple[WebhookSource, dict[str, str]]:
    ways = {
        "github": (source("github"), {"x-hub-signature-256": f"sha256={hexdigest(secret)}"}),
        "bitbucket": (source("bitbucket"), {"x-hub-signature": f"sha256={hexdigest(secret)}"}),
        "jira": (source("jira"), {"x-hub-signature": f"sha256={hexdigest(secret)}"}),
        "gitlab": (source("gitlab"), {"x-gitlab-token": secret}),
        "gitlab-signed": (source("gitlab"), standard(secret)),
        "jenkins": (source("jenkins"), {"authorization": f"Bearer {secret}"}),
        "alertmanager-basic": (source("alertmanager", auth="basic"), {"authorization": basic(secret)}),
        "plain-hmac": (source("plain", auth="hmac", signature_header="X-Mine"), {"x-mine": hexdigest(secret)}),
        "cdevents-standard": (source("cdevents", auth="standard"), standard(secret)),
    }
    return ways[way]


WAYS = ["github", "bitbucket", "jira", "gitlab", "gitlab-signed", "jenkins", "alertmanager-basic", "plain-hmac", "cdevents-standard"]


@pytest.mark.parametrize("way", WAYS)
def test_each_live_secret_is_good_and_any_other_is_refused(way):
    for secret in SECRETS:
        whom, headers = good(way, secret)
        assert check_signature(whom, SECRETS, headers, BODY, now=NOW) is None
    whom, headers = good(way, "somebody-elses")
    assert check_signature(whom, SECRETS, headers, BODY, now=NOW)
    assert check_signature(whom, SECRETS, {}, BODY, now=NOW)
    assert check_signature(whom, (), good(way, SECRETS[0])[1], BODY, now=NOW) == "none of the source's secrets is set here"


@pytest.mark.parametrize("way", ["github", "gitlab-signed", "plain-hmac", "cdevents-standard"])
def test_a_signed_body_cannot_be_changed(way):
    whom, headers = good(way, SECRETS[0])
    assert check_signature(whom, SECRETS, headers, BODY + b" ", now=NOW)


def test_the_reason_never_tells_a_secret():
    for way in WAYS:
        whom, headers = good(way, "wrong")
        reason = check_signature(whom, SECRETS, headers, BODY, now=NOW) or ""
        assert not any(secret in reason for secret in (*SECRETS, "wrong"))


@pytest.mark.parametrize("skew_s", [-301, 301, -86_400, 86_400 * 365])
def test_a_signature_with_a_time_too_far_from_our_clock_is_refused(skew_s):
    whom = source("cloudevents", auth="standard")
    headers = standard(SECRETS[0], at=NOW + timedelta(seconds=skew_s))
    assert "away from our clock" in (check_signature(whom, SECRETS, headers, BODY, now=NOW) or "")
    assert check_signature(whom, SECRETS, standard(SECRETS[0], at=NOW + timedelta(seconds=299)), BODY, now=NOW) is None


@pytest.mark.parametrize(
    "headers",
    [
        {"webhook-id": "a", "webhook-timestamp": "٣", "webhook-signature": "v1,x"},
        {"webhook-id": "a", "webhook-timestamp": "9" * 400, "webhook-signature": "v1,x"},
        {"webhook-id": "a", "webhook-timestamp": "-5", "webhook-signature": "v1,x"},
        {"webhook-id": "a", "webhook-timestamp": "1795230000", "webhook-signature": " ".join(["v1,x"] * 10_000)},
        {"webhook-id": "\udcff", "webhook-timestamp": "1795230000", "webhook-signature": "v1,\udcff"},
    ],
)
def test_malformed_signatures_are_refused_and_break_nothing(headers):
    headers = {**headers, "webhook-id": headers["webhook-id"].encode("utf-8", "replace").decode()}
    assert check_signature(source("plain", auth="standard"), SECRETS, headers, b"\xff\x00", now=NOW)


def test_the_signature_is_that_of_the_specification():
    """The example of the Standard Webhooks project."""
    given = standard_signature(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp_s=1614265330,
        body=b'{"test": 2432232314}',
    )
    assert given == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_delivery_is_known_by_what_its_provider_says():
    assert delivery_key(source("github"), {"x-github-delivery": "1"}, BODY) == delivery_key(
        source("github"), {"x-github-delivery": "1"}, b""
    )
    assert delivery_key(source("github"), {"x-github-delivery": "1"}, BODY) != delivery_key(
        source("github"), {"x-github-delivery": "2"}, BODY
    )
    assert delivery_key(source("bitbucket"), {"x-request-uuid": "1"}, BODY)
    assert delivery_key(source("jira"), {"x-atlassian-webhook-identifier": "1"}, BODY)
    assert delivery_key(source("alertmanager"), {}, BODY) is None
    event = b'{"specversion": "1.0", "id": "7", "source": "/ci", "type": "x"}'
    binary = {"ce-id": "7", "ce-source": "/ci", "ce-type": "x"}
    assert delivery_key(source("cloudevents"), {"content-type": "application/cloudevents+json"}, event) == delivery_key(
        source("cloudevents"), binary, b"{}"
    )
    # Events that cause others share their UUID, so the body tells them apart.
    gitlab = {"x-gitlab-event-uuid": "1"}
    assert delivery_key(source("gitlab"), gitlab, b"a") != delivery_key(source("gitlab"), gitlab, b"b")


def test_an_entry_cannot_ask_for_a_proof_its_provider_does_not_give():
    with pytest.raises(ValidationError, match="github proves itself by signature, not by bearer"):
        source("github", auth="bearer")
