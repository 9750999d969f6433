"""Ports and hosts: what is wrong with one is said in a sentence."""

import os
import socket
from collections.abc import Iterator

import pytest

from deepseek_web.launch.address import Address
from deepseek_web.launch.errors import LaunchError

pytestmark = pytest.mark.unit


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_port_in_use_names_who_has_it(taken: int) -> None:
    with pytest.raises(LaunchError) as refused:
        Address("127.0.0.1", taken).check_free()
    assert f"Port {taken} is in use by" in str(refused.value)
    assert f"(pid {os.getpid()})" in str(refused.value)
    assert f"make run PORT={taken + 1}" in str(refused.value)


def test_free_port_passes(taken: int) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1]
    Address("127.0.0.1", free).check_free()


@pytest.mark.parametrize("port", ["abc", "0", "65536", "-1", "80 80"])
def test_nonsense_is_refused(port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", port)
    with pytest.raises(LaunchError, match="PORT must be a number from 1 to 65535"):
        Address.from_environment()


def test_host_of_another_machine_is_refused() -> None:
    with pytest.raises(LaunchError, match=r"HOST=192\.0\.2\.1 cannot be listened on"):
        Address("192.0.2.1", 8000).check_free()


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://localhost:8000"),
        ("0.0.0.0", "http://localhost:8000"),
        ("10.0.0.7", "http://10.0.0.7:8000"),
    ],
)
def test_url_is_what_a_browser_opens(host: str, url: str) -> None:
    assert Address(host, 8000).url == url


def test_nobody_answers_on_a_free_port() -> None:
    assert Address("127.0.0.1", 1).answers("/healthz") is False
