"""Headless Chromium, driven by its DevTools protocol (https://chromedevtools.github.io/devtools-protocol/)."""

import asyncio
import base64
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
QUIET = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # Chromium itself would call home
]


class Page:
    """A page of a fresh browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket, self.numbers = socket, count(1)

    async def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self.numbers)
        await self.socket.send_json({"id": number, "method": method, "params": parameters})
        while (message := await self.socket.receive_json(timeout=60)).get("id") != number:
            pass  # an event that nobody asked for
        assert "error" not in message, message
        return message["result"]

    async def value(self, expression: str) -> Any:
        """What a JavaScript expression gives."""
        found = await self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    async def until(self, expression: str, seconds: float = 90.0) -> Any:
        """Wait for an expression to become true; its value then."""
        limit = asyncio.get_running_loop().time() + seconds
        while not (found := await self.value(expression)):
            text = await self.value("document.body.innerText")
            assert asyncio.get_running_loop().time() < limit, f"{expression} stays {found}; the page:\n{text}"
            await asyncio.sleep(0.3)
        return found

    async def go(self, address: str) -> None:
        """Load a page anew, also where only what is behind the # differs."""
        for url in ("about:blank", address):
            await self.send("Page.navigate", url=url)
        while not await self.value("location.href != 'about:blank' && document.body !== null"):
            await asyncio.sleep(0.1)

    async def picture(self, path: Path) -> None:
        found = await self.send("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(found["data"]))


@asynccontextmanager
async def opened(profile: Path, width: int = 1400, height: int = 900) -> AsyncIterator[Page]:
    """A page in a browser that has never been used; `profile` is an empty folder for it."""
    options = ["--remote-debugging-port=0", f"--user-data-dir={profile}", f"--window-size={width},{height}"]
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    browser = subprocess.Popen([CHROMIUM, *QUIET, *options, "about:blank"], **streams)
    try:
        async with aiohttp.ClientSession() as session:
            port = await _port(profile, browser)
            async with session.get(f"http://127.0.0.1:{port}/json") as answer:
                pages = [target for target in await answer.json() if target["type"] == "page"]
            async with session.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                yield Page(socket)
    finally:
        browser.terminate()
        browser.wait(20)


async def _port(profile: Path, browser: subprocess.Popen[bytes]) -> str:
    file = profile / "DevToolsActivePort"
    while not (file.exists() and file.read_text()):
        assert browser.poll() is None, "Chromium does not start"
        await asyncio.sleep(0.1)
    return file.read_text().split()[0]
