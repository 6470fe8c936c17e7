"""OTLP metrics, protobuf and JSON, read into samples. Source: OpenTelemetry protocol 1.x, opentelemetry/proto/metrics/v1."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from productops.domain.monitoring_series_sample import Labels, Sample, SampleKind
from productops.errors import DependencyError, InvalidInputError

_NO_VALUE: Final = 1
_DELTA: Final = 1
_NANO: Final = 1e-9
BUCKETS_MAX: Final = 400


@dataclass(frozen=True, slots=True)
class OtlpResource:
    """Whose samples they are, by the attributes of OpenTelemetry's semantic conventions, and how many points were no numbers."""

    attributes: Mapping[str, str]
    samples: tuple[Sample, ...]


def read_request(body: bytes, *, as_json: bool, now: float) -> list[OtlpResource]:
    """An ExportMetricsServiceRequest. Raises: InvalidInputError for a body that is none, DependencyError without the package."""
    request = _request()
    try:
        if as_json:
            from google.protobuf import json_format

            json_format.Parse(body, request, ignore_unknown_fields=True, max_recursion_depth=20)
        else:
            request.ParseFromString(body)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f"the body is no OTLP request for metrics: {str(error)[:300]}") from error
    except Exception as error:  # protobuf's DecodeError and ParseError share no base but this one
        if type(error).__module__.startswith("google.protobuf"):
            raise InvalidInputError(f"the body is no OTLP request for metrics: {str(error)[:300]}") from error
        raise
    return [_resource(each, now=now) for each in request.resource_metrics]


def answer(*, rejected: int, reason: str, as_json: bool) -> bytes:
    """An ExportMetricsServiceResponse."""
    from google.protobuf import json_format
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse

    response = ExportMetricsServiceResponse()
    if rejected or reason:
        response.partial_success.rejected_data_points = rejected
        response.partial_success.error_message = reason
    return json_format.MessageToJson(response).encode() if as_json else response.SerializeToString()


def _request() -> Any:
    try:
        from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
    except ImportError as error:
        raise DependencyError("OTLP needs opentelemetry-proto: pip install 'productops[telemetry]'") from error
    return ExportMetricsServiceRequest()


def _resource(each: Any, *, now: float) -> OtlpResource:
    metrics = [metric for scope in each.scope_metrics for metric in scope.metrics]
    samples = tuple(sample for metric in metrics for sample in _samples(metric, now))
    return OtlpResource(dict(_attributes(each.resource.attributes)), samples)


def _samples(metric: Any, now: float) -> Iterator[Sample]:
    kind = metric.WhichOneof("data")
    if kind is None:
        return
    data = getattr(metric, kind)
    delta = kind in {"sum", "histogram", "exponential_histogram"} and data.aggregation_temporality == _DELTA
    for point in data.data_points:
        if point.flags & _NO_VALUE:
            continue
        at = point.time_unix_nano * _NANO or now
        since = point.start_time_unix_nano * _NANO if delta else None
        labels = _attributes(point.attributes)
        yield from _READERS[kind](metric, data, point, labels, at, since)


def _number(metric: Any, _data: Any, point: Any, labels: Labels, at: float, _since: float | None) -> Iterator[Sample]:
    yield Sample(metric.name, SampleKind.GAUGE, labels, at, _value(point))


def _sum(metric: Any, data: Any, point: Any, labels: Labels, at: float, since: float | None) -> Iterator[Sample]:
    # A sum that may fall, such as of open connections, is a level.
    kind = SampleKind.COUNTER if data.is_monotonic else SampleKind.GAUGE
    yield Sample(metric.name, kind, labels, at, _value(point), since=since if data.is_monotonic else None)


def _histogram(metric: Any, _data: Any, point: Any, labels: Labels, at: float, since: float | None) -> Iterator[Sample]:
    bounds = [*point.explicit_bounds, math.inf]
    counts = point.bucket_counts
    buckets = tuple(zip(bounds, map(float, counts), strict=True)) if len(counts) == len(bounds) <= BUCKETS_MAX else ()
    yield Sample(metric.name, SampleKind.HISTOGRAM, labels, at, point.sum, float(point.count), buckets, since)


def _exponential(metric: Any, _data: Any, point: Any, labels: Labels, at: float, since: float | None) -> Iterator[Sample]:
    """Buckets of growing width: the i-th positive one ends at base ** (offset + i + 1), base = 2 ** (2 ** -scale)."""
    counts, offset, growth = point.positive.bucket_counts, point.positive.offset, 2.0**-point.scale
    negative = sum(point.negative.bucket_counts)
    buckets: list[tuple[float, float]] = [(point.zero_threshold, float(point.zero_count + negative))]
    if 0 < len(counts) <= BUCKETS_MAX:
        buckets += [(_power(offset * growth), 0.0)]  # where the first one begins
        buckets += [(_power((offset + place + 1) * growth), float(count)) for place, count in enumerate(counts)]
    rising = all(lower[0] < upper[0] for lower, upper in pairwise(buckets))
    yield Sample(metric.name, SampleKind.HISTOGRAM, labels, at, point.sum, float(point.count), tuple(buckets) if rising else (), since)


def _power(exponent: float) -> float:
    return 2.0**exponent if exponent < 1023 else math.inf


def _summary(metric: Any, _data: Any, point: Any, labels: Labels, at: float, since: float | None) -> Iterator[Sample]:
    for each in point.quantile_values:
        named = tuple(sorted({**dict(labels), "quantile": f"{each.quantile:g}"}.items()))
        yield Sample(metric.name, SampleKind.GAUGE, named, at, each.value)
    yield Sample(metric.name, SampleKind.HISTOGRAM, labels, at, point.sum, float(point.count), (), since)


_READERS: Final = {
    "gauge": _number, "sum": _sum, "histogram": _histogram, "exponential_histogram": _exponential, "summary": _summary,
}  # fmt: skip


def _value(point: Any) -> float:
    kind = point.WhichOneof("value")
    return float(getattr(point, kind)) if kind else math.nan


def _attributes(given: Iterable[Any]) -> Labels:
    """Plain ones only: lists and maps cannot tell series apart in a way that a person reads."""
    found = {}
    for each in given:
        kind = each.value.WhichOneof("value")
        if kind in {"string_value", "int_value", "double_value", "bool_value"}:
            value = getattr(each.value, kind)
            text = str(value).lower() if kind == "bool_value" else str(value)
            if text:
                found[each.key] = text[:255].replace("\x00", "")
    return tuple(sorted(found.items()))
