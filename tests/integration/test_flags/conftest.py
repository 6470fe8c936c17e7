"""A served API with a context behind it; flags are made through the use cases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from fastapi import FastAPI

from productops.domain.catalog_flags import FlagSpec
from productops.domain.release_flags import Flag
from productops.logs import set_up_logs
from productops.settings import Settings
from productops.usecases.context import Context
from productops.usecases.release_flags_change import create_flag
from tests.integration.test_api.support import client_of, make_template, prepare, serving
from tests.support import SOMEBODY

OFREP = "/ofrep/v1/evaluate/flags"
FLAGS = "/api/v1/product-ops/flags"


@pytest.fixture(scope="package", autouse=True)
def plain_logs() -> Iterator[None]:
    set_up_logs(Settings(log_level="ERROR"), program="api")
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.fixture(scope="package")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_template(tmp_path_factory.mktemp("flags"))


@dataclass
class Door:
    """A running API."""

    context: Context
    settings: Settings
    client: httpx.Client
    app: FastAPI

    def flag(self, key: str = "new-checkout", **spec: Any) -> Flag:
        return make_flag(self.context, key, **spec)

    def ask(self, key: str = "new-checkout", **context: Any) -> dict[str, Any]:
        answer = self.client.post(f"{OFREP}/{key}", json={"context": context})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


def make_flag(context: Context, key: str = "new-checkout", **spec: Any) -> Flag:
    return create_flag(context, key, venture="apollo", spec=FlagSpec.model_validate({"owner": "checkout"} | spec), actor=SOMEBODY)


@pytest.fixture
def door(template: Path, tmp_path: Path) -> Iterator[Door]:
    context, settings, _ = prepare(template, tmp_path)
    with serving(context, settings) as app, client_of(settings) as client:
        yield Door(context, settings, client, app)
