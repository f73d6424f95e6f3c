"""A test cannot leave this machine: a connection to another host is refused before it is tried."""

from __future__ import annotations

import socket

import pytest
from pytest_socket import SocketConnectBlockedError

DOCUMENTATION_HOST = "192.0.2.1"  # reserved for documents, never routed


def test_connection_to_another_host_is_refused() -> None:
    with (
        socket.socket() as client,
        pytest.warns(UserWarning, match="tried to use socket"),
        pytest.raises(SocketConnectBlockedError),
    ):
        client.connect((DOCUMENTATION_HOST, 80))


def test_connection_to_this_machine_is_allowed() -> None:
    with socket.socket() as server, socket.socket() as client:
        server.bind(("127.0.0.1", 0))
        server.listen(1)
        client.connect(server.getsockname())
        assert client.getpeername() == server.getsockname()
