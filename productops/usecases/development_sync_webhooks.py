"""What webhooks of GitHub, GitLab and Jira tell of the work: the same mapping, the same writing, at once."""

from __future__ import annotations

from collections.abc import Iterator

import structlog

from productops.domain import development_map_github, development_map_gitlab, development_map_jira
from productops.domain.catalog_webhooks import Provider
from productops.domain.development import System, Told
from productops.domain.development_map import Mapper, UnmappableError
from productops.domain.development_sync import DevelopmentSource
from productops.domain.governance_webhooks import Inbound, WebhookSource
from productops.domain.governance_webhooks_json import UnreadableError, read_json, text
from productops.errors import ConflictError
from productops.usecases.context import Context

log = structlog.get_logger(__name__)
_SYSTEMS = {Provider.GITHUB: System.GITHUB, Provider.GITLAB: System.GITLAB, Provider.JIRA: System.JIRA}
TRIES = 3


def take_work(context: Context, sender: WebhookSource, inbound: Inbound) -> str:
    """Store what a webhook tells of the work; returns what was done, empty for none. The same one twice, or late, is harmless.

    Raises: ConflictError when the same thing is stored again and again at this moment (it is tried again later).
    """
    system = _SYSTEMS.get(sender.spec.provider)
    if system is None:
        return ""
    with context.store.read() as unit:
        sources = unit.development_sources.all(ventures=(sender.venture,), system=system)
        known = {source.name: {s.scope for s in unit.development_sources.streams(source.name)} for source in sources}
    if not sources:
        return ""
    try:
        data = read_json(inbound.body)
        project, scope = _place(system, data)
        told = {
            source.name: (source, list(_told(source, inbound, data)))
            for source in sources if _is_of(source, project, scope, known[source.name])
        }  # fmt: skip
    except (UnreadableError, UnmappableError) as error:
        log.warning("webhook tells no work", id=inbound.id, source=inbound.source, reason=str(error))
        return ""
    said = [_store(context, source, each) for source, each in told.values() if each]
    return "; ".join(said)


def _store(context: Context, source: DevelopmentSource, told: list[Told]) -> str:
    for attempt in range(1, TRIES + 1):
        try:
            with context.store.write() as unit:
                observe = source.system is not System.JIRA
                written = unit.development.put(source, told, now=context.clock.now(), observe=observe)
            break
        except ConflictError:
            if attempt == TRIES:
                raise
    counted = {kind: w.created + w.changed + w.deleted for kind, w in written.items()}
    done = ", ".join(f"{number} {kind}" for kind, number in sorted(counted.items()) if number)
    return f"{source.name}: {done or 'known already'}"


def _place(system: System, data: object) -> tuple[str, str]:
    """What the sender calls the repository or project, and its stable id."""
    if system is System.GITHUB:
        return text(data, "repository", "full_name"), text(data, "repository", "id")
    if system is System.GITLAB:
        return text(data, "project", "path_with_namespace"), text(data, "project", "id") or text(data, "project_id")
    return text(data, "issue", "fields", "project", "key"), text(data, "issue", "fields", "project", "id")


def _is_of(source: DevelopmentSource, project: str, scope: str, known: set[str]) -> bool:
    """By the stable id where the source was read already, else by name. A sprint of Jira names no project; it is of all of them."""
    if source.system is System.JIRA and not project and not scope:
        return True
    return scope in known or project.lower() in {each.lower() for each in source.spec.projects} or scope in source.spec.projects


def _told(source: DevelopmentSource, inbound: Inbound, data: object) -> Iterator[Told]:
    mapper = Mapper(source.spec, inbound.received_at)
    if source.system is System.GITHUB:
        yield from development_map_github.webhook(mapper, inbound.headers.get("x-github-event", ""), data)
    elif source.system is System.GITLAB:
        yield from development_map_gitlab.webhook(mapper, text(data, "object_kind"), data)
    else:
        yield from development_map_jira.webhook(mapper, source.spec.base_url, data)
