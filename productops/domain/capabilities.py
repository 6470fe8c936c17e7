"""What a router can do and what a rollout needs of it: compared before a release starts, never found out in the middle of one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from productops.errors import UnsupportedError


class LatencyDetail(StrEnum):
    """How a router reports latencies. Quantiles can be judged from histograms only."""

    HISTOGRAM = "histogram"
    AVERAGE = "average"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class RouterCapabilities:
    """What a router can do. ``weight_step_pct`` is the smallest share it can set, in percent.

    ``counters``: it counts requests and failures by version itself. ``sticky``: it keeps a user on one version while weights rise.
    ``test_header``: a header can choose the version. ``mirror``: it can copy requests to a version whose answers nobody sees.
    ``segments``: a rule can send some users to the candidate. ``without_baseline``: it can serve a share of a first version.
    ``exposures``: it writes down what answers say of a flag, so that exposed users can be compared with the others.
    """

    router: str
    latency: LatencyDetail
    counters: bool = True
    weight_step_pct: float = 1.0
    sticky: bool = True
    test_header: bool = True
    mirror: bool = False
    segments: bool = False
    without_baseline: bool = True
    exposures: bool = False


ENVOY = RouterCapabilities("Envoy", LatencyDetail.HISTOGRAM, mirror=True, segments=True, exposures=True)
"""The embedded router; everything the strategies know."""


@dataclass(frozen=True, slots=True)
class RouterNeeds:
    """What a rollout asks of the router. ``weights_pct`` are the shares of its steps."""

    weights_pct: tuple[float, ...] = ()
    sticky: bool = False
    test_header: bool = False
    mirror: bool = False
    segments: bool = False
    counters: bool = True
    latency_quantiles: bool = False
    without_baseline: bool = False
    exposures: bool = False


def missing(able: RouterCapabilities, needs: RouterNeeds) -> list[str]:
    """What ``needs`` asks and ``able`` cannot, one sentence each; empty when all is there."""
    coarse = [w for w in needs.weights_pct if w and abs(w / able.weight_step_pct - round(w / able.weight_step_pct)) > 1e-9]
    lacks = {
        f"weights such as {coarse[0]:g} %: its smallest step is {able.weight_step_pct:g} %" if coarse else "": bool(coarse),
        "users that stay on one version; set route.sticky to false": needs.sticky and not able.sticky,
        "a header that chooses the version (blue-green's test_s); set test_s to 0": needs.test_header and not able.test_header,
        "mirrored requests, which dark-launch needs": needs.mirror and not able.mirror,
        "steps for a segment of the users": needs.segments and not able.segments,
        "a share of traffic without a baseline": needs.without_baseline and not able.without_baseline,
        "exposures to a flag, which feature-toggle is judged by: it does not read x-productops-exposure; put the embedded Envoy before the "
        "service, or ramp the flag by hand with productops flag": needs.exposures and not able.exposures,
        "requests and failures by version; name a metric source that counts them": needs.counters and not able.counters,
        "p50, p90 and p99: it reports no histogram; name a metric source that has one, or set rollout.analysis.weights of all three to 0":
            needs.latency_quantiles and able.latency is not LatencyDetail.HISTOGRAM,
    }  # fmt: skip
    return [sentence for sentence, lacking in lacks.items() if lacking]


def refuse_unsupported(able: RouterCapabilities, needs: RouterNeeds) -> None:
    """Raises: UnsupportedError naming everything the router cannot do of what the rollout needs."""
    lacks = missing(able, needs)
    if lacks:
        raise UnsupportedError(f"the router {able.router} cannot do what this rollout needs: {'; '.join(lacks)}", missing=lacks)
