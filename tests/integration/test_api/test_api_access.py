"""Who gets in: the token file, and the addresses the API may listen on."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from productops.adapters import token_file
from productops.api.access import chosen_token
from productops.api.server import listen
from productops.errors import PortTakenError, SettingsError
from productops.settings import Settings, is_loopback, load_settings
from tests.integration.test_api.support import free_ports


def test_a_token_is_made_once_and_only_its_owner_can_read_it(tmp_path):
    home = tmp_path / "a" / "home"
    token = token_file.read_or_create(home)
    assert len(token) >= 43
    assert token_file.read_or_create(home) == token_file.read(home) == token
    assert stat.S_IMODE(token_file.token_path(home).stat().st_mode) == 0o600
    assert os.listdir(home) == ["token"]


def test_programs_that_start_at_the_same_moment_get_the_same_token(tmp_path):
    with ThreadPoolExecutor(16) as pool:
        tokens = set(pool.map(lambda _: token_file.read_or_create(tmp_path), range(64)))
    assert len(tokens) == 1
    assert os.listdir(tmp_path) == ["token"]


def test_there_is_no_token_before_somebody_makes_it(tmp_path):
    assert token_file.read(tmp_path) is None


@pytest.mark.parametrize(
    ("content", "mode", "reason"), [("t\n", 0o644, "chmod 600"), ("t\n", 0o660, "chmod 600"), ("\n", 0o600, "empty"), ("ü", 0o600, "read")]
)
def test_a_token_file_that_cannot_be_trusted_is_refused(tmp_path, content, mode, reason):
    path = token_file.token_path(tmp_path)
    path.write_text(content)
    path.chmod(mode)
    with pytest.raises(SettingsError, match=reason):
        token_file.read_or_create(tmp_path)


def test_a_home_that_is_no_folder_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="cannot be made"):
        token_file.read_or_create(tmp_path / "file" / "home")


@pytest.mark.parametrize(("host", "local"), [
    ("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False),
    ("192.168.1.4", False), ("example.org", False), ("", False), ("127.0.0.1.example.org", False),
])  # fmt: skip
def test_only_loopback_addresses_are_loopback(host, local):
    assert is_loopback(host) is local


@pytest.mark.parametrize("token", [None, "", "   ", "too-short"])
def test_other_machines_are_not_let_in_without_a_token_set_on_purpose(tmp_path, token):
    with pytest.raises(SettingsError, match="PRODUCTOPS_API_TOKEN"):
        load_settings(home=tmp_path, host="0.0.0.0", api_token=token)


def test_a_set_token_goes_before_the_file(tmp_path):
    assert (
        chosen_token(Settings(home=tmp_path, host="0.0.0.0", api_token="sixteen-chars-ok", behind_proxy="10.0.0.7")) == "sixteen-chars-ok"
    )
    assert not token_file.token_path(tmp_path).exists()
    assert chosen_token(Settings(home=tmp_path)) == token_file.read(tmp_path)


def test_a_taken_port_and_a_foreign_address_are_sentences():
    port = free_ports()
    held = listen("127.0.0.1", port)
    with pytest.raises(PortTakenError, match=f"{port}.*PRODUCTOPS_PORT_BASE"):
        listen("127.0.0.1", port)
    held.close()
    with pytest.raises(SettingsError, match="PRODUCTOPS_HOST"):
        listen("no such host.invalid", port)
