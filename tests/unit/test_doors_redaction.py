"""Secrets are taken out of texts, logs and answers; other words stay."""

from __future__ import annotations

import base64
import io
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from pydantic import SecretStr

from productops import redaction
from productops.api.problems import problem
from productops.errors import DependencyError
from productops.logs import guard_logging, set_up_logs
from productops.redaction import know_secrets, redact, redact_value
from productops.settings import Settings

TOKEN = "po_0123456789ab_" + "c" * 64


@pytest.fixture(autouse=True)
def own_secrets(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What one test makes known, no other blanks."""
    monkeypatch.setattr(redaction, "_known", set())
    monkeypatch.setattr(redaction, "_known_pattern", None)
    factory = logging.getLogRecordFactory()
    yield
    logging.setLogRecordFactory(factory)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("postgresql+psycopg://ops:hunter2hunter2@db/po did not answer", "hunter2hunter2"),
        (f"Authorization: Bearer {TOKEN}", TOKEN),
        (f"the token {TOKEN} is unknown", "c" * 64),
        ("authorization: Basic cHJvZHVjdG9wczpzM2NyZXQ=", "cHJvZHVjdG9wczpzM2NyZXQ="),
        ("GET /login?code=dfW7-KvH2yT5Zpi2MrSBuvt35qadg failed", "dfW7-KvH2yT5Zpi2MrSBuvt35qadg"),
        ("connect(password='correct horse')", "correct"),
        ('{"client_secret": "s3cr3t-value"}', "s3cr3t-value"),
        ("id_token eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "eyJzdWIiOiIxIn0"),
    ],
)
def test_what_looks_like_a_secret_is_blanked(text: str, secret: str) -> None:
    assert secret not in redact(text)
    assert "***" in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "set PRODUCTOPS_API_TOKEN to at least 16 characters, or bind to 127.0.0.1",
        "send the header `Authorization: Bearer <token>`",
        "the token file /home/x/token can be read by others; run: chmod 600 /home/x/token",
        "basic authentication is what Prefect's server asks for",
        "release 0197c5a2-6f0e-7c3a-9b1f-2f6c1d0b7e11 of storefront 1.1.0 was rolled back",
        "https://ops.example:8443/runs?x=1 and ada@example.com",
    ],
)
def test_sentences_stay_as_they_are(text: str) -> None:
    assert redact(text) == text


def test_a_known_secret_is_blanked_in_clear_and_encoded() -> None:
    know_secrets(["käse & brot 42", "short", None])
    for written in ("käse & brot 42", "k%C3%A4se%20%26%20brot%2042", base64.b64encode("käse & brot 42".encode()).decode()):
        assert redact(f"it said {written}.") == "it said ***."
    assert redact("a short word") == "a short word"


def test_keys_that_name_secrets_lose_their_values_and_ids_keep_them() -> None:
    found = redact_value({"api_token": "x", "deep": [{"Password": "y", "token_id": "0123", "count": 3}], "tokens_used": 7})
    assert found == {"api_token": "***", "deep": [{"Password": "***", "token_id": "0123", "count": 3}], "tokens_used": 7}


def test_an_error_is_born_without_secrets() -> None:
    error = DependencyError("no answer from postgresql://u:tops3cret@db/x")
    assert str(error) == error.detail == "no answer from postgresql://u:***@db/x"


def test_a_problem_document_holds_none_either() -> None:
    answer = problem(502, slug="s", title="t", detail=f"Bearer {TOKEN}", extra={"said": ["http://u:tops3cret@h/"], "token": "abc"})
    assert TOKEN not in bytes(answer.body).decode()
    assert "tops3cret" not in bytes(answer.body).decode()
    assert b'"abc"' not in answer.body


def test_every_logger_of_the_process_writes_without_secrets(tmp_path: Path) -> None:
    settings = Settings(
        home=tmp_path, api_token=SecretStr("the-installation-token"), database_url="postgresql+psycopg://u:db-p4ssword@db/po"
    )
    guard_logging(settings)
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    logger = logging.getLogger("somebody.elses")
    logger.addHandler(handler)
    try:
        logger.warning("with %s and %s", "the-installation-token", {"url": settings.database_url})
        try:
            raise ValueError("wrong: db-p4ssword")
        except ValueError:
            logger.exception("it failed")
    finally:
        logger.removeHandler(handler)
    said = written.getvalue()
    assert "installation-token" not in said
    assert "db-p4ssword" not in said
    assert "ValueError: wrong: ***" in said


def test_our_own_log_lines_hold_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs(Settings(home=tmp_path, xds_token=SecretStr("envoys-only-please")), program="test")
    log = structlog.get_logger()
    log.info("asked", url="http://u:tops3cret@h/", token="abc", nested={"why": "envoys-only-please"}, token_id="0123")
    try:
        raise RuntimeError(f"no: {TOKEN}")
    except RuntimeError:
        log.exception("failed")
    said = capsys.readouterr().err
    assert not [secret for secret in ("tops3cret", '"abc"', "envoys-only", TOKEN) if secret in said]
    assert '"token_id": "0123"' in said
    assert "RuntimeError: no: po_***" in said
