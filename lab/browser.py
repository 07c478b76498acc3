"""A real browser: headless Chromium through its WebDriver, without a network.

    with Browser() as browser:
        browser.open("/tmp/report.html")
        browser.run("return document.title")

Source: W3C WebDriver; chromedriver's ``goog/cdp/execute``.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import select
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from types import TracebackType
from typing import Any, Optional

from lab.common import LabError, Unavailable

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    # Whatever would leave this machine ends here.
    "--host-resolver-rules=MAP * ~NOTFOUND",
)
START = 60.0
ANSWER = 120.0


class Browser:
    """One session with a profile of its own.

    :param scripts: whether pages may run theirs
    :raises lab.common.Unavailable: there is no Chromium here
    """

    def __init__(self, *, scripts: bool = True) -> None:
        for program in ("chromium", "chromedriver"):
            if shutil.which(program) is None:
                raise Unavailable(f"needs {program}")
        self._scripts = scripts
        self._profile = tempfile.mkdtemp(prefix="lastwords-browser-")
        self._driver: Optional[subprocess.Popen[bytes]] = None
        self._session = ""
        self._base = ""

    def __enter__(self) -> Browser:
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        value: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()

    def _start(self) -> None:
        self._driver = subprocess.Popen(
            ["chromedriver", "--port=0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._base = f"http://127.0.0.1:{self._port()}/session"
        options: dict[str, Any] = {"args": [*FLAGS, f"--user-data-dir={self._profile}"]}
        if not self._scripts:
            options["prefs"] = {"profile.managed_default_content_settings.javascript": 2}
        wanted = {"alwaysMatch": {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}}
        made = self._ask("POST", "", {"capabilities": wanted})
        self._session = "/" + made["sessionId"]

    def _port(self) -> int:
        assert self._driver is not None and self._driver.stdout is not None
        limit, said = time.monotonic() + START, b""
        while time.monotonic() < limit:
            if select.select([self._driver.stdout], [], [], 1.0)[0]:
                part = os.read(self._driver.stdout.fileno(), 4096)
                said += part
                match = re.search(rb"on port (\d+)\.", said)
                if match:
                    return int(match[1])
                if not part:
                    break
        raise LabError(f"chromedriver did not start: {said.decode(errors='replace')[-400:]}")

    def close(self) -> None:
        """End the session and everything that was started for it."""
        if self._session:
            with contextlib.suppress(OSError, LabError):
                self._ask("DELETE", self._session)
            self._session = ""
        if self._driver is not None:
            self._driver.terminate()
            try:
                self._driver.wait(10)
            except subprocess.TimeoutExpired:
                self._driver.kill()
                self._driver.wait()
            if self._driver.stdout is not None:
                self._driver.stdout.close()
            self._driver = None
        shutil.rmtree(self._profile, ignore_errors=True)

    def _ask(self, method: str, path: str, body: Optional[dict[str, Any]] = None) -> Any:
        data = json.dumps(body or {}).encode() if method == "POST" else None
        request = urllib.request.Request(
            self._base + path, data, {"Content-Type": "application/json"}, method=method
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=ANSWER) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as problem:
            with problem:
                said = json.load(problem)["value"]
            raise LabError(f"{path}: {said.get('error')}: {str(said.get('message'))[:400]}") from None

    def open(self, path: str, fragment: str = "") -> None:
        """Show a local file."""
        self._ask("POST", f"{self._session}/url", {"url": f"file://{os.path.abspath(path)}{fragment}"})

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script on the page and return what it returns, awaited if that is a promise."""
        body = {"script": script, "args": list(arguments)}
        return self._ask("POST", f"{self._session}/execute/sync", body)

    def devtools(self, command: str, **parameters: Any) -> Any:
        """Send a command of the DevTools protocol."""
        return self._ask("POST", f"{self._session}/goog/cdp/execute", {"cmd": command, "params": parameters})

    def log(self) -> list[str]:
        """Return what the console said since the last call: refused scripts and styles among it."""
        entries = self._ask("POST", f"{self._session}/se/log", {"type": "browser"})
        return [str(entry["message"]) for entry in entries]

    def look(self, *, width: int = 1280, dark: bool = False) -> None:
        """Set how wide the window is, and what the reader prefers."""
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.devtools("Emulation.setEmulatedMedia", media="screen", features=scheme)
        size = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
        self.devtools("Emulation.setDeviceMetricsOverride", **size)

    def picture(self, path: str, *, selector: str = "html", highest: int = 16000) -> None:
        """Write a PNG of an element, the whole page by default."""
        box = self.run(
            "const r = document.querySelector(arguments[0]).getBoundingClientRect();"
            "return {x: r.x + scrollX, y: r.y + scrollY, width: r.width, height: r.height}",
            selector,
        )
        clip = {**box, "height": min(box["height"], highest), "scale": 1}
        made = self.devtools("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        _write(path, made["data"])

    def pdf(self, path: str) -> None:
        """Print the page on A4."""
        self.devtools("Emulation.setEmulatedMedia", media="")
        page = {"width": 21.0, "height": 29.7}
        _write(path, self._ask("POST", f"{self._session}/print", {"page": page, "background": True}))


def _write(path: str, data: str) -> None:
    with open(path, "wb") as stream:
        stream.write(base64.b64decode(data))
