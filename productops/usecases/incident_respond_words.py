"""What a step would do, in a sentence, for dry runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from productops.domain.incident_playbook import Response, StepRecord


def would_do(step: StepRecord, response: Response) -> str:
    """One sentence that names what it acts on."""
    said = _SENTENCES[step.do](step.spec, response, response.cause.get("remedy") or {})
    again = f", tried {int(step.spec['retries']) + 1} times" if step.spec.get("retries") else ""
    undo = ", ".join(str(each["do"]) for each in step.spec.get("compensate") or ())
    return f"{said}, within {float(step.spec['timeout_s']):g} s{again}" + (f"; undone by {undo}" if undo else "")


_Remedy = Mapping[str, Any]


def _roll_back(_spec: Mapping[str, Any], response: Response, remedy: _Remedy) -> str:
    return f"would give users of {response.service} the version before release {remedy.get('release_id', '(none named)')}"


def _disable_flag(spec: Mapping[str, Any], response: Response, remedy: _Remedy) -> str:
    return f"would switch flag {spec.get('flag') or remedy.get('flag', '(none named)')} off in {response.environment}"


def _scale(spec: Mapping[str, Any], response: Response, _remedy: _Remedy) -> str:
    return f"would run {int(spec['add']):+d} instances of {response.service}, at most {spec['instances_max']}"


def _restart(spec: Mapping[str, Any], response: Response, remedy: _Remedy) -> str:
    if spec.get("which") == "all":
        return f"would replace all instances of {response.service}, one after the other"
    return f"would replace {remedy.get('instance') or 'the instances that do not answer'} of {response.service}"


def _drain(_spec: Mapping[str, Any], response: Response, remedy: _Remedy) -> str:
    return f"would take instance {remedy.get('instance', '(none named)')} of {response.service} out of the traffic and end it"


def _fail_over(spec: Mapping[str, Any], response: Response, _remedy: _Remedy) -> str:
    return f"would start version {spec['version']} of {response.service} and give it all traffic"


def _run_command(spec: Mapping[str, Any], response: Response, _remedy: _Remedy) -> str:
    command = response.spec.commands[str(spec["command"])]
    return f"would run {spec['command']}: {' '.join(command.argv)}"


def _page(spec: Mapping[str, Any], _response: Response, _remedy: _Remedy) -> str:
    return "would page whoever is on call" + (f": {spec['say']}" if spec.get("say") else "")


def _wait(spec: Mapping[str, Any], response: Response, _remedy: _Remedy) -> str:
    return f"would wait until {response.service} is as before for {float(spec['good_s']):g} s"


def _approve(_spec: Mapping[str, Any], _response: Response, _remedy: _Remedy) -> str:
    return "would ask for the signatures that approval policies want for playbooks"


_SENTENCES: Final[dict[str, Callable[[Mapping[str, Any], Response, _Remedy], str]]] = {
    "roll-back": _roll_back, "disable-flag": _disable_flag, "scale": _scale, "restart": _restart, "drain": _drain,
    "fail-over": _fail_over, "run-command": _run_command, "page": _page, "wait-for-recovery": _wait, "approve": _approve,
}  # fmt: skip
