"""A browser without a window, driven through the DevTools protocol."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def waited(what: str, found: Callable[[], Any], seconds: float) -> Any:
    """Return the first true answer of ``found``, or fail after some seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answer := found():
            return answer
        time.sleep(0.1)
    pytest.fail(f"{what}: not within {seconds:g} s")


@pytest.fixture(scope="session")
def wait_for() -> Callable[[str, Callable[[], Any], float], Any]:
    """How a test waits for something on a page."""
    return waited


def stopped(process: subprocess.Popen[bytes]) -> None:
    """End a process that was started in a session of its own, with its children."""
    for sent in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, sent)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10.0)
            return


class Tab:
    """One tab: commands in, events kept; only the machine itself can be reached from it."""

    def __init__(self, address: str) -> None:
        websocket = pytest.importorskip("websocket", reason="websocket-client is not installed")
        self.socket = websocket.create_connection(address, timeout=60.0, suppress_origin=True)
        self.events: list[dict[str, Any]] = []
        self._numbers = itertools.count(1)
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Return the answer to a command; events that come before it are kept."""
        number = next(self._numbers)
        self.socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(self.socket.recv())
            if message.get("id") == number:
                assert "error" not in message, (method, message)
                answer: dict[str, Any] = message["result"]
                return answer
            self.events.append(message)

    def run(self, script: str) -> Any:
        """Return the value of an expression of JavaScript, awaited where it is a promise."""
        answer = self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def mouse(self, kind: str, x: float, y: float) -> None:
        """Move or press the mouse at a place of the window."""
        pressed = {"mousePressed": 1, "mouseMoved": 1, "mouseReleased": 0}[kind]
        self.send(
            "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=pressed, clickCount=1
        )

    def drag(self, start: tuple[float, float], end: tuple[float, float], steps: int = 5) -> None:
        """Press at one place, move in steps, and let go at another."""
        self.mouse("mousePressed", *start)
        for step in range(1, steps + 1):
            x, y = (a + (b - a) * step / steps for a, b in zip(start, end, strict=True))
            self.mouse("mouseMoved", x, y)
        self.mouse("mouseReleased", *end)

    def keys(self, text: str) -> None:
        """Type a text into what has the focus."""
        self.send("Input.insertText", text=text)

    def complaints(self) -> list[str]:
        """Return the errors of the console and the scripts so far."""
        found = []
        for event in self.events:
            params = event.get("params", {})
            if event.get("method") == "Runtime.exceptionThrown":
                found.append(json.dumps(params["exceptionDetails"])[:300])
            if event.get("method") == "Log.entryAdded" and params["entry"]["level"] == "error":
                found.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
        return found

    def asked_for(self) -> list[str]:
        """Return every address that the page asked for so far."""
        return [
            event["params"]["request"]["url"]
            for event in self.events
            if event.get("method") == "Network.requestWillBeSent"
        ]


@pytest.fixture
def tab(tmp_path: Path) -> Iterator[Tab]:
    """An empty tab of a headless Chromium that reaches this machine alone."""
    if BROWSER is None:
        pytest.skip("no chromium here")
    profile = tmp_path / "profile"
    command = [
        BROWSER,
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
        "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
        "--remote-debugging-port=0",
        "--remote-allow-origins=*",
        "--window-size=1280,1000",
        f"--user-data-dir={profile}",
        "about:blank",
    ]
    with (tmp_path / "chromium.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    opened: Tab | None = None
    try:
        written = profile / "DevToolsActivePort"
        port = waited(
            "port of the browser", lambda: written.is_file() and written.read_text().splitlines()[:1], 60.0
        )[0]

        def pages() -> list[dict[str, str]]:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=10.0) as answer:
                return [page for page in json.load(answer) if page["type"] == "page"]

        opened = Tab(waited("a tab", pages, 30.0)[0]["webSocketDebuggerUrl"])
        yield opened
    finally:
        if opened is not None:
            opened.socket.close()
        stopped(process)


@pytest.fixture
def port() -> int:
    """A port of this machine that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(address: str) -> bool:
    """Say whether a server answers."""
    try:
        with urllib.request.urlopen(address, timeout=5.0):
            return True
    except (urllib.error.URLError, OSError):
        return False


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Callable[[list[str], str, Path], None]]:
    """Start servers and wait until an address answers; they end with the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start(command: list[str], address: str, cwd: Path) -> None:
        with (tmp_path / f"server{len(started)}.log").open("wb") as log:
            server = subprocess.Popen(command, cwd=cwd, stdout=log, stderr=log, start_new_session=True)
        started.append(server)

        def ready() -> bool:
            if server.poll() is not None:
                pytest.fail((tmp_path / f"server{len(started) - 1}.log").read_text()[-2000:])
            return answers(address)

        waited("the server", ready, 120.0)

    yield start
    for process in started:
        stopped(process)
