"""A headless Chromium, driven over a pipe by the DevTools protocol: as much as the page's tests ask of it."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "chrome-headless-shell")
_PATIENCE_S = 60  # for one answer; a machine may be busy elsewhere


def find() -> str | None:
    """The browser that the environment variable CHROMIUM names, or else the first on the PATH that starts; None without one.

    Some systems have a program of that name which only tells how to install the real one. One that CHROMIUM names is taken as
    it is: that it does not start is then a failure.
    """
    named = os.environ.get("CHROMIUM")
    return named or next((found for name in NAMES if (found := shutil.which(name)) and _starts(found)), None)


def _starts(program: str) -> bool:
    try:
        done = subprocess.run([program, "--version"], capture_output=True, timeout=_PATIENCE_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


@dataclass(slots=True)
class Tab:
    """One tab. `told` is every event since the page was opened: log entries, exceptions, requests."""

    _read: int
    _write: int
    _session: str = ""
    _serial: int = 0
    _buffer: bytearray = field(default_factory=bytearray)
    told: list[dict[str, Any]] = field(default_factory=list)

    def start(self) -> None:
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Security"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Sends a command and waits for its answer."""
        self._serial += 1
        message: dict[str, Any] = {"id": self._serial, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._write, data) :]
        while True:
            answer = self._next()
            if answer.get("id") == self._serial:
                assert "error" not in answer, f"{method}: {answer['error']}"
                result: dict[str, Any] = answer["result"]
                return result

    def look(self, width: int, *, dark: bool, media: str = "screen") -> None:
        """As a phone or a screen of this width, in this colour scheme."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media=media, features=[scheme])

    def open(self, file: Path) -> None:
        """Loads a file, to the end."""
        self.told.clear()
        self.call("Page.navigate", url=file.as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.told):
            self._next()
        self.ask("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def ask(self, expression: str) -> Any:
        """The value of an expression in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def complaints(self) -> list[str]:
        """What the console shows: messages, exceptions, and what the browser itself has to say."""
        found = []
        for event in self.told:
            of = event["params"]
            if event["method"] == "Log.entryAdded":
                found.append(f"{of['entry']['level']}: {of['entry']['text']}")
            elif event["method"] == "Runtime.consoleAPICalled":
                found.append(f"console.{of['type']}")
            elif event["method"] == "Runtime.exceptionThrown":
                found.append(str(of["exceptionDetails"]["text"]))
            elif event["method"] == "Page.javascriptDialogOpening":
                found.append(f"dialog: {of['message']}")
        return found

    def requests(self) -> list[str]:
        """The address of everything that was asked for."""
        sent = (event for event in self.told if event["method"] == "Network.requestWillBeSent")
        return [event["params"]["request"]["url"] for event in sent]

    def picture(self) -> bytes:
        """The whole page as PNG."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(shot["data"])

    def _next(self) -> dict[str, Any]:
        deadline = time.monotonic() + _PATIENCE_S
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"the browser said nothing for {_PATIENCE_S} s"
            came = os.read(self._read, 1 << 20)
            assert came, "the browser ended"
            self._buffer += came
        end = self._buffer.index(b"\0")
        message: dict[str, Any] = json.loads(self._buffer[:end])
        del self._buffer[: end + 1]
        if "method" in message:
            self.told.append(message)
        return message


@contextlib.contextmanager
def browser(program: str, home: Path) -> Iterator[Tab]:
    """A browser with one tab, its profile in `home`; ended when done."""
    commands, our_write = os.pipe()
    our_read, answers = os.pipe()
    # The browser reads from descriptor 3 and writes to 4: ours are moved up first, so that neither is overwritten.
    theirs = [fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, 10) for each in (commands, answers)]
    os.close(commands)
    os.close(answers)
    words = [
        # No sandbox: as root, and in most containers, Chromium cannot make one; the pages that it opens here are ours.
        *(
            program,
            "--headless=new",
            "--no-sandbox",
            "--remote-debugging-pipe",
            f"--user-data-dir={home}",
            "--no-first-run",
        ),
        *("--disable-gpu", "--disable-extensions", "--disable-background-networking", "--disable-component-update"),
        *("--disable-dev-shm-usage", "--hide-scrollbars", "--no-default-browser-check", "about:blank"),
    ]
    quiet = (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)
    moved = [(os.POSIX_SPAWN_DUP2, theirs[0], 3), (os.POSIX_SPAWN_DUP2, theirs[1], 4)]
    pid = os.posix_spawn(program, words, {**os.environ, "HOME": str(home)}, file_actions=[quiet, *moved], setpgroup=0)
    for each in theirs:
        os.close(each)
    try:
        tab = Tab(our_read, our_write)
        tab.start()
        yield tab
    finally:
        os.killpg(pid, signal.SIGKILL)  # the browser and its helpers: it leads their group
        os.waitpid(pid, 0)
        os.close(our_read)
        os.close(our_write)
