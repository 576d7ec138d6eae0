"""A page of headless Chromium, driven over the Chrome DevTools protocol with websocket-client."""

import base64
import itertools
import json
import os
import shutil
import subprocess
import time
import urllib.request

import numpy as np
import pytest

websocket = pytest.importorskip("websocket", reason="needs websocket-client")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)


class Browser:
    """A page of headless Chromium."""

    def __init__(self, folder):
        flags = ["--headless=new", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-port=0"]
        flags += ["--no-first-run", f"--user-data-dir={folder}"]
        if os.geteuid() == 0:
            flags.append("--no-sandbox")  # which root does not have
        self._process = subprocess.Popen(
            [CHROMIUM, *flags, "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.events, self._numbers = [], itertools.count(1)
        port = wait_for(lambda: (folder / "DevToolsActivePort").read_text().split()[0], FileNotFoundError, IndexError)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json") as answer:
            target = next(entry for entry in json.load(answer) if entry["type"] == "page")
        self._socket = websocket.create_connection(target["webSocketDebuggerUrl"], timeout=60, suppress_origin=True)
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def close(self):
        self._socket.close()
        self._process.terminate()
        self._process.wait(20)

    def send(self, method, **parameters):
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv())
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]
            self.events.append(message)

    def value(self, expression):
        """Value of a JavaScript expression."""
        answer = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait(self, expression):
        return wait_for(lambda: self.value(expression) or None)

    def open(self, path, address="", size=(1280, 800), ratio=1):
        width, height = size
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=ratio, mobile=False
        )
        self.send("Page.navigate", url="about:blank")
        self.events.clear()
        self.send("Page.navigate", url=f"{path.as_uri()}{address}")
        self.wait(
            "document.readyState === 'complete' && (!!window.stigmergy || !document.getElementById('problem').hidden)"
        )

    def click(self, x, y):
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
        self.settle()

    def click_on(self, selector, across=0.5, down=0.5):
        """Click on an element, at shares of its width and height."""
        box = self.value(f"document.querySelector('{selector}').getBoundingClientRect().toJSON()")
        self.click(box["x"] + across * box["width"], box["y"] + down * box["height"])

    def press(self, key, text="", modifiers=0):
        for kind in ("keyDown", "keyUp"):
            self.send(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                text=text if kind == "keyDown" else "",
                modifiers=modifiers,
            )
        self.settle()

    def settle(self):
        """Wait until the page has been drawn again."""
        self.value("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))")

    @property
    def state(self):
        return self.value("window.stigmergy.state")

    def picture(self, canvas):
        """(height, width, 4) uint8 pixels of a canvas."""
        self.settle()
        pixels = self.value(
            f"(() => {{ const c = document.getElementById('{canvas}');"
            "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; let s = '';"
            "for (let i = 0; i < d.length; i += 8192) s += String.fromCharCode(...d.subarray(i, i + 8192));"
            "return [c.height, c.width, btoa(s)]; })()"
        )
        height, width, content = pixels
        return np.frombuffer(base64.b64decode(content), dtype=np.uint8).reshape(height, width, 4)

    def complaints(self):
        """Errors, warnings and exceptions since the page was opened."""
        kinds = (
            "Runtime.exceptionThrown",
            "Log.entryAdded",
            "Runtime.consoleAPICalled",
            "Page.javascriptDialogOpening",
        )
        return [event for event in self.events if event["method"] in kinds]


def wait_for(attempt, *errors, seconds=30):
    """What an attempt gives, as soon as it is not None."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if (value := attempt()) is not None:
                return value
        except errors:
            pass
        time.sleep(0.05)
    raise TimeoutError(f"nothing for {seconds} s")
