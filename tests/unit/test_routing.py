"""What two scrapes of the router say about the time between them, and the names both sides use."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from productops.adapters.envoy.config import version_key
from productops.domain.analysis import ArmSecond, LatencyHistogram
from productops.domain.catalog import stat_name
from productops.domain.release import Environment
from productops.domain.routing import ArmCounters, RouterReading, histogram_between, merge_histograms, second_between

KEY = ("storefront", Environment.PRODUCTION, "1.4.2")
OTHER = ("storefront", Environment.PRODUCTION, "1.5.0")

patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the machine may be busy
names = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
versions = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,30}", fullmatch=True)


@st.composite
def histograms(draw: st.DrawFn) -> LatencyHistogram:
    """Up to eight buckets, some of them empty."""
    bounds = sorted(draw(st.sets(st.integers(1, 10_000), max_size=8)))
    return LatencyHistogram(tuple(map(float, bounds)), tuple(draw(st.integers(0, 1000)) for _ in bounds))


@st.composite
def arms(draw: st.DrawFn) -> ArmCounters:
    """Counters with no more failures than requests."""
    requests = draw(st.integers(0, 10_000))
    return ArmCounters(requests, draw(st.integers(0, requests)), draw(histograms()))


def plus(a: ArmCounters, b: ArmCounters) -> ArmCounters:
    return ArmCounters(a.requests + b.requests, a.failures + b.failures, merge_histograms([a.latency, b.latency]))


def nonzero(histogram: LatencyHistogram) -> dict[float, int]:
    return {upper: count for upper, count in zip(histogram.upper_ms, histogram.counts, strict=True) if count}


@patient
@given(histograms(), histograms())
def test_what_was_added_to_a_histogram_is_what_lies_between(before: LatencyHistogram, added: LatencyHistogram) -> None:
    between = histogram_between(before, merge_histograms([before, added]))
    assert between is not None
    assert nonzero(between) == nonzero(added)
    assert between.total == added.total


@patient
@given(histograms(), histograms())
def test_a_histogram_that_lost_a_request_has_no_in_between(more: LatencyHistogram, less: LatencyHistogram) -> None:
    lost = any(count > nonzero(less).get(upper, 0) for upper, count in nonzero(more).items())
    assert (histogram_between(more, less) is None) == lost


@patient
@given(arms(), arms())
def test_a_second_holds_exactly_what_happened_in_it(before: ArmCounters, added: ArmCounters) -> None:
    second = second_between(RouterReading(5, {KEY: before}), RouterReading(6, {KEY: plus(before, added)}), KEY)
    assert second is not None
    assert (second.requests, second.failures, nonzero(second.latency)) == (added.requests, added.failures, nonzero(added.latency))


@patient
@given(arms(), arms(), arms())
def test_seconds_add_up(start: ArmCounters, first: ArmCounters, then: ArmCounters) -> None:
    readings = [RouterReading(5, {KEY: start}), RouterReading(6, {KEY: plus(start, first)})]
    readings.append(RouterReading(7, {KEY: plus(plus(start, first), then)}))
    one, two, both = (second_between(readings[a], readings[b], KEY) for a, b in ((0, 1), (1, 2), (0, 2)))
    assert one is not None
    assert two is not None
    assert both is not None
    assert one.requests + two.requests == both.requests
    assert one.failures + two.failures == both.failures
    assert nonzero(merge_histograms([one.latency, two.latency])) == nonzero(both.latency)


@patient
@given(arms(), arms())
def test_a_counter_that_fell_cannot_be_known(before: ArmCounters, after: ArmCounters) -> None:
    second = second_between(RouterReading(5, {KEY: before}), RouterReading(6, {KEY: after}), KEY)
    if after.requests < before.requests or after.failures < before.failures:
        assert second is None


@patient
@given(arms(), st.integers(0, 3), st.integers(4, 9))
def test_a_restart_cannot_be_known_however_long_the_new_router_runs(arm: ArmCounters, short: int, long: int) -> None:
    grown = plus(arm, ArmCounters(1, 0, LatencyHistogram()))
    assert second_between(RouterReading(long, {KEY: arm}), RouterReading(short, {KEY: grown}), KEY) is None
    assert second_between(RouterReading(short, {KEY: arm}, life=1), RouterReading(long, {KEY: grown}, life=2), KEY) is None


@patient
@given(arms())
def test_a_version_seen_for_the_first_time_began_at_zero(arm: ArmCounters) -> None:
    second = second_between(RouterReading(5, {}), RouterReading(6, {KEY: arm}), KEY)
    assert second is not None
    assert (second.requests, second.failures) == (arm.requests, arm.failures)


@patient
@given(arms())
def test_a_version_nobody_asked_for_had_no_traffic_but_one_that_vanished_is_unknown(arm: ArmCounters) -> None:
    assert second_between(RouterReading(5, {OTHER: arm}), RouterReading(6, {OTHER: arm}), KEY) == ArmSecond()
    assert second_between(RouterReading(5, {KEY: arm}), RouterReading(6, {}), KEY) is None


@patient
@given(names, st.sampled_from(Environment), versions)
def test_the_routers_name_of_a_version_leads_back_to_it(service: str, environment: Environment, version: str) -> None:
    name = stat_name(service, environment, version)
    assert version_key(name) == (service, environment, version)
    assert not set(name) & set('.:*"\\ \n')


@patient
@given(st.text(max_size=40))
def test_foreign_names_lead_to_no_version(text: str) -> None:
    key = version_key(text)
    assert key is None or text.startswith("po|")


@patient
@given(st.tuples(names, st.sampled_from(Environment), versions), st.tuples(names, st.sampled_from(Environment), versions))
def test_two_versions_never_share_a_name(one: tuple[str, Environment, str], two: tuple[str, Environment, str]) -> None:
    assert (stat_name(*one) == stat_name(*two)) == (one == two)
