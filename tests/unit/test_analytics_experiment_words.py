"""What a look says to people, and its picture."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from xml.etree import ElementTree as Xml

import pytest
from pydantic import ValidationError

from productops.domain.analytics_experiment import Arm, Contrast, LookResult, MetricResult, Standing
from productops.domain.analytics_experiment_document import look_document, look_from
from productops.domain.analytics_experiment_picture import look_picture, reach_picture
from productops.domain.analytics_experiment_words import look_sentence, number, percent
from productops.domain.catalog_experiment import ExperimentSpec

SPEC = ExperimentSpec.model_validate(
    {
        "hypothesis": "h", "flag": "f", "control": "A", "variants": ["B"], "owner": "o",
        "metrics": [{"name": "sign-ups", "kind": "conversion", "event": "e"}],
    }
)  # fmt: skip
FOUND = Contrast("B", 0.12, 0.05, 0.19, 0.005, 0.002, 0.004, 0.999, 0.0, 6.0, Standing.BETTER)
ARMS = (Arm("A", 9000, 0.041, 369.0), Arm("B", 9000, 0.046, 414.0))
METRIC = MetricResult("sign-ups", "conversion", "higher", ARMS, (FOUND,))
RAIL = MetricResult(
    "errors <b>", "ratio", "lower", (Arm("A", 90, 0.01), Arm("B", 90, 0.05)), (replace(FOUND, standing=Standing.WORSE),), 0.0, False
)
LOOK = LookResult(
    datetime(2026, 3, 2, tzinfo=UTC), {"A": 9000, "B": 9000}, 3, 0.9, 1.0, split_broken=False, metrics=(METRIC,), guardrails=(),
    standing=Standing.BETTER, sentence="", complete=True,
)  # fmt: skip


def told(found: Contrast, **changes: object) -> str:
    return look_sentence(replace(LOOK, metrics=(replace(METRIC, contrasts=(found,)),)), SPEC.model_copy(update=changes))


def test_a_proved_change_is_told_in_a_sentence_that_can_be_repeated() -> None:
    assert told(FOUND) == (
        "Variant B raised sign-ups from 4.1 % to 4.6 % (+12 %, 95 % interval +5.0 % to +19 %); chance of being wrong below 1 in 200."
    )


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"standing": Standing.UNDECIDED}, "It is not decided: variant B has sign-ups at 4.6 % against 4.1 %"),
        ({"standing": Standing.NO_DIFFERENCE}, "changed sign-ups by next to nothing"),
        ({"standing": Standing.WORSE, "change": -0.1}, "Variant B lowered sign-ups"),
        ({"adjusted_p": 0.049, "standing": Standing.BETTER}, "below 1 in 20."),
        ({"change": None, "problem": "too little was seen"}, "Nothing can be said of sign-ups yet: too little was seen."),
    ],
)
def test_what_is_not_proved_is_not_told_as_if_it_were(changes: dict[str, object], says: str) -> None:
    assert says in told(replace(FOUND, **changes))  # type: ignore[arg-type]


def test_a_wrong_split_is_all_that_is_said() -> None:
    assert "cannot be trusted: people are not split as planned (A 9,000, B 9,000)" in look_sentence(replace(LOOK, split_broken=True), SPEC)


def test_a_guardrail_that_does_not_hold_is_told_beside_the_metric() -> None:
    sentence = look_sentence(replace(LOOK, guardrails=(RAIL,)), SPEC)
    assert sentence.endswith("Guardrail errors <b> does not hold: 0.0500 with B, 0.0100 without (+12 %); borne is nothing.")


def test_numbers_are_written_as_people_write_them() -> None:
    assert [percent(v) for v in (0.123, -0.0123, 0.0, -0.00001)] == ["+12 %", "−1.2 %", "0.0 %", "0.0 %"]
    assert [number(v) for v in (1234.5, 12.345, 0.00123, 0.0)] == ["1,234", "12.3", "0.00123", "0"]


def test_a_look_is_stored_and_read_back_as_it_was() -> None:
    look = replace(LOOK, guardrails=(RAIL,), notes=("a note",))
    assert look_from(look_document(look)) == look
    with pytest.raises(ValidationError):
        look_from({"at": "never"})


def test_pictures_are_valid_whatever_names_hold() -> None:
    drawn = look_picture("checkout & <co>", replace(LOOK, guardrails=(RAIL,)))
    assert Xml.fromstring(drawn).tag.endswith("svg")
    assert "errors &lt;b&gt;" in drawn
    empty = Contrast("B", None, None, None, None, None, None, None, None, None, Standing.UNDECIDED, "too little was seen")
    assert "too little was seen" in look_picture("x", replace(LOOK, metrics=(replace(METRIC, contrasts=(empty,)),)))
    Xml.fromstring(reach_picture("reach", [(1, 0.5), (7, 0.2), (14, 0.1)], wanted=0.05))
    Xml.fromstring(reach_picture("reach", [], wanted=0.05))


@pytest.mark.parametrize(
    ("metric", "says"),
    [
        ({"name": "a", "kind": "ratio", "event": "e"}, "denominator of a ratio"),
        ({"name": "a", "kind": "mean"}, "name an event or a feature"),
        ({"name": "a", "kind": "quantile", "event": "e", "past_days": 3}, "cannot be adjusted by the past"),
        ({"name": "a", "kind": "conversion", "event": "e", "cap": 0.9}, "has nothing to cap"),
        ({"name": "a", "kind": "mean", "event": "e", "from_days": 3}, "is of retention only"),
    ],
)
def test_a_metric_that_means_nothing_is_refused(metric: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        ExperimentSpec.model_validate(SPEC.model_dump(mode="json") | {"metrics": [metric]})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"variants": ["A"]}, "the control not among them"),
        ({"shares": {"A": 1}}, "name a share above 0 for each"),
        ({"guardrails": [{"name": "sign-ups", "kind": "conversion", "event": "e"}]}, "two metrics are named"),
    ],
)
def test_an_experiment_that_contradicts_itself_is_refused(changes: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        ExperimentSpec.model_validate(SPEC.model_dump(mode="json") | changes)
