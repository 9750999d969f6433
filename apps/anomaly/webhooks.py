"""Calls of addresses that people have given: signed, to public addresses only, without following anywhere.

The name is looked up once, every address it has is judged, and one of those is connected to, so that a name that
answers differently the second time leads nowhere else. The signature is that of the Standard Webhooks: HMAC-SHA256 over
`id.timestamp.body`; the id of a message stays the same when it is sent again.

A call has one deadline: timeouts of sockets are for each read, and a receiver that sends a byte now and then would be
waited for as long as it likes.
"""

import base64
import hashlib
import hmac
import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_SECONDS = 10.0  # for a call, from the connection to the answer
_READ = 1024  # bytes of an answer
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class NotDelivered(Exception):
    """Says why. `is_final`: trying again does not help. `status` is what was answered, if anything."""

    def __init__(self, message: str, *, status: int | None = None, is_final: bool = False) -> None:
        super().__init__(message)
        self.status, self.is_final = status, is_final


@dataclass(frozen=True, slots=True)
class _Target:
    host: str
    port: int
    path: str
    is_https: bool


def check(url: str) -> None:
    """Raises ValueError(`webhook: reason`) for an address that would not be called."""
    try:
        _addresses(_target(url))
    except NotDelivered as error:
        raise ValueError(f"webhook: {error}") from error


def call(url: str, *, message_id: str, body: bytes, secret: str) -> int:
    """The status of an answer that says it was taken. Raises NotDelivered."""
    target = _target(url)
    address = _addresses(target)[0]
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "DeepSeek-Web",
        **signature(message_id, body, secret, int(time.time())),
    }
    ends = time.monotonic() + _SECONDS
    try:
        with _connected(target, address, ends) as connection:
            connection.request("POST", target.path, body=body, headers=headers)
            answer = connection.getresponse()
            answer.read(_READ)
    except (OSError, http.client.HTTPException) as error:
        kind = TimeoutError if time.monotonic() >= ends else type(error)
        raise NotDelivered(f"The address does not answer: {kind.__name__}") from error
    if not 200 <= answer.status < 300:
        raise NotDelivered(
            f"The address answered {answer.status}.", status=answer.status, is_final=answer.status == 410
        )
    return answer.status


def signature(message_id: str, body: bytes, secret: str, at: int) -> dict[str, str]:
    """The three headers."""
    digest = hmac.digest(secret.encode(), f"{message_id}.{at}.".encode() + body, hashlib.sha256)
    signed = "v1," + base64.b64encode(digest).decode()
    return {"webhook-id": message_id, "webhook-timestamp": str(at), "webhook-signature": signed}


def is_public(address: Address) -> bool:
    """Also of the one that an address of the transition to IPv6 stands for."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
    return address.is_global and not address.is_multicast


def _target(url: str) -> _Target:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise NotDelivered("This is no address that can be called.", is_final=True) from error
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
        raise NotDelivered("The address must begin with http:// or https:// and name no user.", is_final=True)
    is_https = parts.scheme == "https"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not path.isascii() or any(ord(letter) <= 32 for letter in path):
        raise NotDelivered("This is no address that can be called.", is_final=True)
    return _Target(parts.hostname, port or (443 if is_https else 80), path, is_https)


def _addresses(target: _Target) -> list[Address]:
    """All of the host's, when each of them may be called."""
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
        addresses = [ipaddress.ip_address(row[4][0].partition("%")[0]) for row in found]  # type: ignore[union-attr]
    except (OSError, UnicodeError, ValueError) as error:
        raise NotDelivered("The name of the host is not known.") from error
    allowed = [ipaddress.ip_network(one, strict=False) for one in settings.ANOMALY_PRIVATE_WEBHOOKS]
    for address in addresses:
        if not is_public(address) and not any(address in network for network in allowed):
            raise NotDelivered("The address is inside of a private network. It is not called.", is_final=True)
    if not addresses:
        raise NotDelivered("The name of the host is not known.")
    return addresses


@contextmanager
def _connected(target: _Target, address: Address, ends: float) -> Iterator[http.client.HTTPConnection]:
    """Cut when the time is over, wherever it is by then."""
    with socket.create_connection((str(address), target.port), _SECONDS) as plain, _cut_at(ends, plain) as cut:
        connection = http.client.HTTPConnection(target.host, target.port)
        connection.sock = plain
        if target.is_https:
            context = ssl.create_default_context()
            connection.sock = context.wrap_socket(plain, server_hostname=target.host, do_handshake_on_connect=False)
            cut.append(connection.sock)
            connection.sock.do_handshake()
        try:
            yield connection
        finally:
            connection.close()


@contextmanager
def _cut_at(ends: float, first: socket.socket) -> Iterator[list[socket.socket]]:
    """The sockets that are cut; whoever waits for one of them goes on with an error, or without the rest."""
    sockets = [first]

    def cut() -> None:
        for one in sockets:
            with suppress(OSError):
                socket.socket.shutdown(one, socket.SHUT_RDWR)

    timer = threading.Timer(max(0.0, ends - time.monotonic()), cut)
    timer.daemon = True
    timer.start()
    try:
        yield sockets
    finally:
        timer.cancel()
