"""OpenFeature's own clients against the real API: the Python SDK, and the web provider in node."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from openfeature import api as openfeature
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason

from productops.usecases.release_flags_change import kill_flag, ramp_flag
from tests.integration.test_api.support import TOKEN
from tests.integration.test_flags.conftest import make_flag
from tests.support import PRODUCTION, SOMEBODY

PACKAGES = ("@openfeature/ofrep-web-provider@0.4.3", "@openfeature/web-sdk@1.10.0", "@openfeature/core", "@openfeature/ofrep-core")
SCRIPT = Path(__file__).with_name("web_provider.mjs")


@pytest.fixture
def sdk(door):
    provider = OFREPProvider(door.settings.api_url, headers_factory=lambda: {"Authorization": f"Bearer {TOKEN}"})
    provider.session.trust_env = False
    openfeature.set_provider(provider)
    yield openfeature.get_client()
    provider.session.close()
    openfeature.clear_providers()


def test_the_python_sdk_reads_every_kind_of_value(door, sdk):
    make_flag(door.context, "truth", default_variant="on")
    make_flag(door.context, "text", variants={"a": "blue", "b": "red"}, default_variant="a")
    make_flag(door.context, "whole", variants={"a": 3, "b": 5}, default_variant="b")
    make_flag(door.context, "real", variants={"a": 0.5, "b": 1.5}, default_variant="b")
    make_flag(door.context, "mapping", variants={"a": {"x": [1, 2]}, "b": {}}, default_variant="a")
    assert sdk.get_boolean_value("truth", default_value=False) is True
    assert sdk.get_string_value("text", "none") == "blue"
    assert sdk.get_integer_value("whole", 0) == 5
    assert sdk.get_float_value("real", 0.0) == 1.5
    assert sdk.get_object_value("mapping", {}) == {"x": [1, 2]}
    details = sdk.get_boolean_details("truth", default_value=False)
    assert (details.variant, details.reason, details.flag_metadata["environment"]) == ("on", Reason.STATIC, "production")


def test_the_python_sdk_follows_rules_ramps_and_kills(door, sdk):
    make_flag(door.context, "rule", targeting={"if": [{"==": [{"var": "country"}, "NZ"]}, "on", None]})
    make_flag(door.context, "ramp")
    user = EvaluationContext("user-1", {"country": "NZ"})
    assert sdk.get_boolean_details("rule", default_value=False, evaluation_context=user).reason == Reason.TARGETING_MATCH
    ramp_flag(door.context, "ramp", PRODUCTION, percent=50, actor=SOMEBODY, reason="")
    door.app.state.flags.changed()
    split = sdk.get_boolean_details("ramp", default_value=False, evaluation_context=user)
    assert (split.reason, split.error_code) == (Reason.SPLIT, None)
    kill_flag(door.context, "ramp", actor=SOMEBODY, reason="broken")
    door.app.state.flags.changed()
    killed = sdk.get_boolean_details("ramp", default_value=True, evaluation_context=user)
    assert (killed.value, killed.variant, killed.reason) == (False, "off", Reason.DISABLED)


def test_the_python_sdk_falls_back_to_the_codes_default_with_the_right_error(door, sdk):
    make_flag(door.context, "ramp")
    ramp_flag(door.context, "ramp", PRODUCTION, percent=50, actor=SOMEBODY, reason="")
    missing = sdk.get_boolean_details("none", default_value=True)
    assert (missing.value, missing.error_code) == (True, ErrorCode.FLAG_NOT_FOUND)
    nobody = sdk.get_boolean_details("ramp", default_value=True)
    assert (nobody.value, nobody.error_code) == (True, ErrorCode.TARGETING_KEY_MISSING)
    wrong = sdk.get_string_details("ramp", "x", EvaluationContext("u"))
    assert wrong.error_code == ErrorCode.TYPE_MISMATCH


@pytest.fixture(scope="session")
def node_modules(tmp_path_factory):
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("node and npm are not installed, so the web provider cannot be tried")
    tried = subprocess.run([node, "--experimental-eventsource", "-e", "0"], capture_output=True, timeout=30, check=False)
    if tried.returncode:
        pytest.skip("this node has no EventSource (it needs 20.18 or newer), so the web provider cannot hear of changes")
    folder = tmp_path_factory.mktemp("npm")
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    try:
        done = subprocess.run(
            [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", *PACKAGES],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
    except subprocess.TimeoutExpired:
        pytest.skip("the npm registry did not answer within 90 s")
    if done.returncode:
        pytest.skip(f"the npm registry has no web provider for us: {done.stderr.strip().splitlines()[-1:]}")
    shutil.copy(SCRIPT, folder / SCRIPT.name)
    return folder


def test_the_web_provider_hears_of_a_change_and_has_the_new_value(door, node_modules):
    make_flag(door.context, "banner")
    make_flag(door.context, "colour", variants={"a": "blue", "b": "red"}, default_variant="a")
    command = ["node", "--experimental-eventsource", "--no-warnings", "web_provider.mjs", door.settings.api_url, TOKEN]
    with subprocess.Popen(command, cwd=node_modules, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as page:
        try:
            first = json.loads(page.stdout.readline() or page.stderr.read())
            assert first == {"banner": False, "colour": "blue", "missing": ["default", "FLAG_NOT_FOUND"]}
            ramp_flag(door.context, "banner", PRODUCTION, percent=100, actor=SOMEBODY, reason="")
            heard = json.loads(page.stdout.readline() or page.stderr.read())
            assert (heard["banner"], heard["changed"]) == (True, ["banner"])
            kill_flag(door.context, "banner", actor=SOMEBODY, reason="broken")
            killed = json.loads(page.stdout.readline() or page.stderr.read())
            assert killed["banner"] is False
            assert killed["reason"] == "DISABLED"
        finally:
            page.kill()
