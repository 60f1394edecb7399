"""Chromium, driven by Playwright. Both are optional: without them the tests that need them are skipped, and say so."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

SWITCHES = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required", "--mute-audio",
)  # fmt: skip
WIDE, NARROW = {"width": 1200, "height": 860}, {"width": 380, "height": 720}


def chromium() -> str:
    """Where Chromium is. Skips the test when it or Playwright is missing."""
    pytest.importorskip("playwright.async_api", reason="playwright is not installed: make browser")
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("there is no Chromium: apt install chromium")
    return found


@asynccontextmanager
async def a_browser() -> AsyncIterator[Any]:
    """A browser with nothing in it."""
    program = chromium()
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=list(SWITCHES))
        try:
            yield browser
        finally:
            await browser.close()


class OpenPage:
    """A page of the local chat as somebody sees it; `complaints` are errors of its scripts and what its policy refused."""

    def __init__(self, page: Any) -> None:
        self.page, self.complaints = page, list[str]()
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda line: self.complaints.append(line.text) if line.type == "error" else None)
        page.on("dialog", lambda dialog: self.complaints.append(f"dialog: {dialog.message}"))

    async def open(self, url: str) -> None:
        await self.page.goto(f"{url}/chat")
        await self.connected()

    async def connected(self) -> None:
        await self.page.wait_for_selector("body.connected")

    async def say(self, text: str) -> None:
        """Once the service has heard it: before, a bot may not speak to somebody who never spoke to it."""
        await self.page.fill("#text", text)
        async with self.page.expect_response(lambda answer: answer.request.method == "POST"):
            await self.page.press("#text", "Enter")

    async def see(self, text: str) -> Any:
        """The newest message with this text, once there is one."""
        found = self.page.locator("article.message", has_text=text).last
        await found.wait_for()
        return found

    async def texts(self) -> list[str]:
        texts: list[str] = await self.page.locator("article.message .text").all_inner_texts()
        return [text for text in texts if text]

    async def plays(self, player: Any) -> bool:
        """Whether the time of this player goes on, from the middle too."""
        found: bool = await player.evaluate(
            """async (player) => {
                const later = async (time) => {
                    while (player.currentTime <= time) {
                        if (player.error) throw new Error(player.error.message);
                        await new Promise((look) => setTimeout(look, 20));
                    }
                };
                player.muted = true;
                await player.play();
                await later(0);
                const middle = player.duration / 2;
                player.currentTime = middle;
                await later(middle);
                player.pause();
                return true;
            }"""
        )
        return found

    async def fits(self) -> bool:
        """Whether nothing sticks out to the side."""
        found: bool = await self.page.evaluate(
            """() => [document.documentElement, document.querySelector("#scroller")].every((one) => one.scrollWidth <= one.clientWidth)
                && [...document.querySelectorAll("article *")].every((one) => one.closest("pre") || one.getBoundingClientRect().right
                    <= document.documentElement.clientWidth + 1)"""
        )
        return found


@asynccontextmanager
async def an_open_page(browser: Any, url: str, **about: Any) -> AsyncIterator[OpenPage]:
    """The local chat of the service at this address, as somebody sees it who was never there."""
    context = await browser.new_context(viewport=WIDE, **about)
    try:
        page = OpenPage(await context.new_page())
        page.page.set_default_timeout(30_000)
        await page.open(url)
        yield page
    finally:
        await context.close()
