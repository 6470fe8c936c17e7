"""``productops connections``: what the file of outside systems says, and what a remote Envoy is started with."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from productops.ports import MetricSource

connections = typer.Typer(help="Routers, targets and metric sources outside.", no_args_is_help=True, rich_markup_mode=None)
Home = Annotated[Path | None, typer.Option("--home", help="The installation; default PRODUCTOPS_HOME.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(connections, name="connections")


@connections.command("check")
def check(home: Home = None) -> None:
    """Read the file PRODUCTOPS_CONNECTIONS, say what the router can do, and ask each metric source for something."""
    from productops.adapters.connections import build_sources, load_connections, router_capabilities
    from productops.cli.installation import settings_of

    settings = settings_of(home)
    chosen = load_connections(settings)
    able = router_capabilities(chosen)
    typer.echo(f"file: {settings.connections or 'none; Envoy and processes on this machine'}")
    typer.echo(f"router: {able.router}; latencies: {able.latency}; smallest step: {able.weight_step_pct:g} %")
    words = {"counters": able.counters, "sticky users": able.sticky, "test header": able.test_header, "mirror": able.mirror}
    words |= {"segments": able.segments, "first version by share": able.without_baseline}
    typer.echo(f"it can: {', '.join(word for word, can in words.items() if can) or '–'}")
    typer.echo(f"it cannot: {', '.join(word for word, can in words.items() if not can) or '–'}")
    typer.echo(f"target: {chosen.target.kind}")
    failed = [source.name for source in build_sources(chosen) if not _answers(source)]
    if failed:
        raise typer.Exit(69)


def _answers(source: MetricSource) -> bool:
    """Ask for a level of a version that does not exist: an answer without values is an answer."""
    from productops.domain.judge.policy import MetricKind
    from productops.domain.monitoring_sources import MetricQuery, Window
    from productops.domain.release import Environment
    from productops.errors import InvalidInputError, MetricSourceError

    probes = {"PrometheusSource": "vector(1)", "DatadogSource": "avg:system.load.1{*}.rollup(avg, {interval_s})"}
    query = probes.get(type(source).__name__, "SELECT count(*) FROM Transaction")
    until_s = (int(time.time()) - source.lag_s) // source.interval_s * source.interval_s
    window = Window(until_s - source.interval_s, until_s, source.interval_s)
    try:
        source.metric(MetricQuery(MetricKind.SATURATION, query), ("probe", Environment.PRODUCTION, "0"), window)
    except (MetricSourceError, InvalidInputError) as error:
        typer.echo(f"metric source {source.name}: {error}")
        return False
    typer.echo(f"metric source {source.name}: answers; every {source.interval_s} s, complete after {source.lag_s} s")
    return True


@connections.command("envoy-bootstrap")
def envoy_bootstrap(
    node: Annotated[str, typer.Argument(help="The Envoy's node id, as `nodes` of the file names it.")],
    api_url: Annotated[str, typer.Option("--api-url", help="Our API as that machine reaches it.")],
    home: Home = None,
) -> None:
    """Print the file a remote Envoy is started with. It holds both tokens: keep it readable by its user only."""
    from productops.adapters.connections import RemoteEnvoyConnection, load_connections, secret
    from productops.adapters.envoy_remote import bootstrap
    from productops.cli.installation import settings_of
    from productops.errors import NotFoundError, SettingsError

    settings = settings_of(home)
    router = load_connections(settings).router
    if not isinstance(router, RemoteEnvoyConnection):
        raise SettingsError("the file PRODUCTOPS_CONNECTIONS names no router of kind remote-envoy")
    known = next((n for n in router.nodes if n.id == node), None)
    if known is None:
        raise NotFoundError(f"nodes has no {node!r}; it has {', '.join(n.id for n in router.nodes)}")
    if settings.xds_token is None:
        raise SettingsError("PRODUCTOPS_XDS_TOKEN is not set: remote Envoys need a token to fetch their configuration")
    xds_token, stats_token = settings.xds_token.get_secret_value(), secret(router.stats_token_env)
    typer.echo(bootstrap(node=node, api_url=api_url, xds_token=xds_token, stats_token=stats_token, stats_port=known.stats_port))
