"""Draws `docs/chat.svg`, the picture of the local chat in the README: the page's own elements and styles, as the demonstration shows them.

    .venv/bin/python docs/screenshot.py [--url http://localhost:8000] [--png FILE]

Needs Chromium and Playwright (`make browser`). Without `--url` it starts `magpie demo` itself, in a temporary directory. `--png` saves a
plain screenshot too, to look at: it does not belong into the repository.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).resolve().parent
WIDTH, HEIGHT = 1180, 1060
LARGEST: Final = 150_000
"""Bytes."""
SWITCHES: Final = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--mute-audio")
READY_WITHIN: Final = 90
_SHOT: Final = """
async () => {
    const jpeg = (drawn, width, height) => {
        const canvas = document.createElement("canvas");
        [canvas.width, canvas.height] = [width, height];
        canvas.getContext("2d").drawImage(drawn, 0, 0, width, height);
        return canvas.toDataURL("image/jpeg", 0.72);
    };
    const text = async (address) => (await fetch(address)).text();
    const logo = `data:image/svg+xml;base64,${btoa(await text("/chat/static/favicon.svg"))}`;
    const sources = [...document.querySelectorAll("body img, body video")];
    const copy = document.body.cloneNode(true);
    [...copy.querySelectorAll("img, video")].forEach((element, place) => {
        const source = sources[place];
        const { width, height } = source.getBoundingClientRect();
        if (source.matches("img")) {
            if (source.src.endsWith(".svg")) element.src = logo;
            else if (width) element.src = jpeg(source, Math.round(width * 1.25), Math.round(height * 1.25));
            else element.remove();
            return;
        }
        const still = document.createElement("div");
        still.className = "still";
        const picture = document.createElement("img");
        picture.src = jpeg(source, Math.round(width * 1.25), Math.round(height * 1.25));
        still.append(picture, Object.assign(document.createElement("span"), { textContent: "▶" }));
        element.replaceWith(still);
    });
    for (const one of copy.querySelectorAll("dialog, noscript, .skip, .toast, script, [hidden], .reply, #about-toggle")) one.remove();
    const field = copy.querySelector("textarea");
    field.replaceWith(Object.assign(document.createElement("div"), { className: "field", textContent: field.placeholder }));
    const scroller = document.querySelector("#scroller");
    copy.querySelector("#log").style.marginTop = `${-scroller.scrollTop}px`;
    const body = document.createElement("div");
    body.className = "body";
    body.append(...copy.childNodes);
    for (const one of body.querySelectorAll("[id]")) if (one.id !== "status") one.removeAttribute("id");
    for (const one of body.querySelectorAll("[data-key]")) delete one.dataset.key;
    return [new XMLSerializer().serializeToString(body), await text("/chat/static/chat.css")];
}
"""
_OWN_STYLE: Final = f"""
.body {{ width: {WIDTH}px; height: {HEIGHT}px; border-radius: 14px; }}
.chat {{ height: {HEIGHT}px; }}
.scroller {{ overflow: hidden; }}
.still {{ position: relative; line-height: 0; }}
.still img {{ width: 100%; border-radius: 12px; }}
.still span {{ position: absolute; inset: 0; margin: auto; width: 60px; height: 60px; border-radius: 50%; background: rgb(0 0 0 / 55%);
  color: #fff; font-size: 24px; display: grid; place-items: center; padding-left: 5px; }}
.field {{ flex: 1; border: 1px solid var(--edge); border-radius: 21px; padding: 9px 16px; background: var(--ground); color: var(--soft); }}
"""


def main() -> int:
    parser = argparse.ArgumentParser(description="Draw docs/chat.svg.")
    parser.add_argument("--url", help="a running magpie demo; default: one of its own")
    parser.add_argument("--png", type=Path, help="where to save a plain screenshot too")
    given = parser.parse_args()
    with contextlib.nullcontext(given.url) if given.url else a_demo() as url:
        elements, style = pictured(url, given.png)
    svg = drawing(elements, style)
    if len(svg.encode()) > LARGEST:
        sys.stderr.write(f"The picture has {len(svg.encode())} bytes, more than {LARGEST}.\n")
        return 1
    (HERE / "chat.svg").write_text(svg)
    return 0


@contextlib.contextmanager
def a_demo() -> Iterator[str]:
    """The address of a `magpie demo` of our own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as directory:
        settings = {"MAGPIE_PORT": str(port), "MAGPIE_DATA_DIR": f"{directory}/data"}
        program = Path(sys.executable).with_name("magpie")
        running = subprocess.Popen([program, "demo"], cwd=directory, env=os.environ | settings)
        try:
            wait_for(f"http://localhost:{port}/api/health/simple", running)
            yield f"http://localhost:{port}"
        finally:
            running.send_signal(signal.SIGTERM)
            running.wait(30)


def wait_for(address: str, running: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_WITHIN
    while running.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(urllib.error.URLError, ConnectionError), urllib.request.urlopen(address):
            return
        time.sleep(0.1)
    raise SystemExit("magpie demo did not start")


def pictured(url: str, png: Path | None) -> tuple[str, str]:
    """A conversation, and then the page's elements and styles."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - optional

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(SWITCHES))
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        page.set_default_timeout(60_000)
        page.goto(f"{url}/chat")
        page.wait_for_selector("body.connected")
        converse(page)
        if png is not None:
            page.screenshot(path=png)
        elements, style = page.evaluate(_SHOT)
        browser.close()
    return elements, style


def converse(page: Any) -> None:
    """One card that waits for a choice, and one whose video is there."""
    page.get_by_role("button", name="A video", exact=True).click()
    page.get_by_role("button", name="Let me choose").last.click()
    page.wait_for_function("() => !document.querySelector('.toast') && !document.querySelector('.key.busy')")
    page.get_by_role("button", name="… its short link").click()
    page.wait_for_function(
        "() => document.querySelectorAll('.keyboard').length > 3 || document.querySelectorAll('.message .keys').length > 6"
    )
    page.locator("article.message").last.get_by_role("button", name="720p").click()
    page.wait_for_selector("article.message:last-child video")
    page.wait_for_function("() => { const one = [...document.querySelectorAll('video')].at(-1); return one.readyState > 1; }")
    page.evaluate("async () => { const one = [...document.querySelectorAll('video')].at(-1); one.currentTime = 6.5; }")
    page.wait_for_function("() => { const one = [...document.querySelectorAll('video')].at(-1); return !one.seeking; }")
    page.evaluate("() => { document.activeElement.blur(); scroller.scrollTo(0, scroller.scrollHeight); }")
    page.mouse.move(5, 5)
    page.wait_for_selector(".toast", state="detached")


def drawing(elements: str, style: str) -> str:
    """The SVG, which can be shown by `<img>`: it asks for nothing from outside."""
    style = re.sub(r"^@media \(hover[^\n]*\n", "", style, flags=re.MULTILINE)
    style = re.sub(r"^@media \((?:width|prefers-reduced-motion).*?\n\}\n", "", style, flags=re.DOTALL | re.MULTILINE)
    style = re.sub(r"^html, body[^\n]*\n", "", style, flags=re.MULTILINE)
    style = re.sub(r"^body \{", ".body {", style, flags=re.MULTILINE)
    style = re.sub(r"\s*animation:[^;}]*;?|100dvh", "", style).replace("height: ;", "")
    style = re.sub(r"/\*.*?\*/|\n\s*", lambda found: "" if found[0].startswith("/*") else "\n", style, flags=re.DOTALL)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}">'
    title = "<title>A chat with Magpie: a card with sizes, and a finished video</title>"
    return (
        f"{head}{title}<style><![CDATA[{style}{_OWN_STYLE}]]></style>"
        f'<foreignObject x="0" y="0" width="{WIDTH}" height="{HEIGHT}">{elements}</foreignObject></svg>\n'
    )


if __name__ == "__main__":
    sys.exit(main())
