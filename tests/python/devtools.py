"""A headless Chromium and its DevTools protocol: opens pages, sets size and colours, asks and takes pictures.

Needs the package websocket-client, which comes with JupyterLab, and a Chromium or Chrome on the PATH.
"""

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import websocket

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
OPTIONS = ("--headless=new", "--remote-debugging-port=0", "--hide-scrollbars", "--mute-audio", "--no-first-run", "--disable-gpu")
STARTS_WITHIN_S = 120
ANSWERS_WITHIN_S = 180


class Browser:
    """One browser with one page."""

    def __init__(self):
        program = next((path for name in NAMES if (path := shutil.which(name))), None)
        if program is None:
            raise SystemExit(f"no browser: none of {', '.join(NAMES)} is on the PATH")
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        # The superuser's browser has no sandbox.
        options = [*OPTIONS, f"--user-data-dir={self.folder.name}", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
        self.process = subprocess.Popen([program, *options, "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        port = self.port()
        address = f"ws://127.0.0.1:{port[0]}{port[1]}"
        self.socket = websocket.create_connection(address, timeout=ANSWERS_WITHIN_S, suppress_origin=True)
        self.number, self.session = 0, None
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.ask("Page.enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()
        self.process.terminate()
        self.process.wait(timeout=20)
        self.folder.cleanup()

    def port(self) -> list[str]:
        """The port and the path that the browser has written down."""
        file, deadline = Path(self.folder.name) / "DevToolsActivePort", time.monotonic() + STARTS_WITHIN_S
        while time.monotonic() < deadline:
            if file.exists() and len(lines := file.read_text().split("\n")) >= 2:
                return lines
            time.sleep(0.1)
        raise SystemExit(f"the browser did not start within {STARTS_WITHIN_S} s")

    def ask(self, method: str, **parameters) -> dict:
        """Calls a method and waits for its answer; events that come meanwhile are dropped."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        self.socket.send(json.dumps(message))
        while True:
            answer = json.loads(self.socket.recv())
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]

    def run(self, script: str):
        """The value of a JavaScript expression, awaited if it is a promise."""
        answer = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise RuntimeError(details.get("exception", {}).get("description") or details["text"])
        return answer["result"].get("value")

    def open(self, address: str) -> None:
        self.ask("Page.navigate", url=address)
        self.wait("document.readyState === 'complete'")

    def wait(self, script: str, seconds: float = 120) -> None:
        """Waits until the expression is true."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if self.run(script):
                    return
            except RuntimeError:  # a page that is just being replaced has no objects
                pass
            time.sleep(0.25)
        raise TimeoutError(f"not true within {seconds:.0f} s: {script}")

    def size(self, width: int, height: int) -> None:
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def colours(self, scheme: str) -> None:
        """`light` or `dark`, as the reader's system asks for it."""
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def picture(self, file: Path) -> None:
        data = self.ask("Page.captureScreenshot", format="png")["data"]
        file.write_bytes(base64.b64decode(data))
