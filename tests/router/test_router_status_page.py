# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The status page in a real browser: Chromium without a window, asking a router in this process.

Without Chromium these tests fail: scripts/bootstrap installs it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvloop
from playwright.async_api import Error, Page, async_playwright, expect
from router_harness import (
    FILES,
    Message,
    Running,
    Wire,
    backend,
    echo,
    get,
    model,
    post,
    router,
    until,
)

from onehop_router.config_reader import parse
from onehop_router.page.board import Pace

CHROMIUM = "/usr/bin/chromium"
ARGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
KEYS = {
    "ops": {"keys": ["sk-ops"], "models": [], "paths": ["/status"]},
    "alice": {"keys": ["sk-alice"]},
}
HOSTILE = {
    "org/" + "a-name-without-an-end-" * 12: model("http://127.0.0.1:2"),
    "<img src=x onerror=alert(1)>": model("http://127.0.0.1:2"),
    "</script><script>document.title='owned'</script>": model("http://127.0.0.1:2"),
    "\u202egnp.exe": model("http://127.0.0.1:2", aliases=["نموذج عربي", "x" * 300]),
    "W" * 300: model("http://127.0.0.1:2"),
}
STYLE = (FILES / "onehop_router" / "page" / "page.css").read_text()
LIMIT = 120.0


@dataclass
class Look:
    """A page and what it did: requests, and what its console says."""

    page: Page
    asked: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    async def open(self, front: Running) -> None:
        answer = await self.page.goto(f"{front.url}/status")
        assert answer is not None and answer.status == 200

    async def row(self, name: str, table: str = "models") -> str:
        return await self.page.locator(f"table.{table} tbody tr", has_text=name).first.inner_text()

    async def overflow(self) -> list[str]:
        """What reaches beyond the window, or out of its cell."""
        return await self.page.evaluate(
            """() => {
                const found = [];
                if (document.documentElement.scrollWidth > innerWidth) found.push("the page");
                for (const one of document.querySelectorAll("main *, header *, footer *")) {
                    const box = one.getBoundingClientRect();
                    if (one.closest(".unseen, thead") || !box.width) continue;
                    if (box.right > innerWidth + 1 || box.left < -1)
                        found.push(one.outerHTML.slice(0, 80));
                }
                return found;
            }"""
        )

    def quiet(self, front: Running) -> None:
        """Nothing was asked of anybody else, and nobody complained."""
        assert self.said == []
        assert {one for one in self.asked if not one.startswith("data:")} == {f"{front.url}/status"}


class Chromium:
    """One browser for all tests here, on the one loop that they run on: each start takes seconds."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self._runner.run(self._start())

    async def _start(self) -> None:
        self._playwright = await async_playwright().start()
        self._browser = await self._playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)

    async def _stop(self) -> None:
        await self._browser.close()
        await self._playwright.stop()

    def close(self) -> None:
        self._runner.run(self._stop())
        self._runner.close()

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a test's coroutine, within a limit that only a hang reaches."""

        async def limited() -> None:
            async with asyncio.timeout(LIMIT):
                await work

        self._runner.run(limited())

    @contextlib.asynccontextmanager
    async def window(
        self, width: int = 1280, scheme: str = "light", **more: Any
    ) -> AsyncIterator[Look]:
        """A window with nothing in it yet, whose user has the right key."""
        given = {"http_credentials": {"username": "ops", "password": "sk-ops"}, **more}
        context = await self._browser.new_context(
            viewport={"width": width, "height": 800},
            color_scheme=scheme,  # type: ignore[arg-type]
            **given,
        )
        look = Look(await context.new_page())
        look.page.on("request", lambda request: look.asked.append(request.url))
        look.page.on("console", lambda message: look.said.append(message.text))
        look.page.on("pageerror", lambda error: look.said.append(str(error)))
        look.page.set_default_timeout(30_000)
        yield look
        await context.close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    one = Chromium()
    yield one
    one.close()


@contextlib.asynccontextmanager
async def open_router(models: dict[str, Any], **settings: Any) -> AsyncIterator[Running]:
    async with router(models, client_keys=KEYS, **settings) as front:
        front.router.board.pace = Pace(sample=0.2, refresh=0.2, cached=0)
        yield front


async def ask(front: Running, name: str) -> Message:
    key = "Authorization: Bearer sk-alice"
    return await front.ask(post(json.dumps({"model": name}), "/v1/completions", key))


# -- contrast, by calculation


def luminance(colour: str) -> float:
    """Relative luminance, as WCAG 2.2 defines it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, two: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(two)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def colours(scheme: str) -> dict[str, str]:
    light, dark = STYLE.split("@media (prefers-color-scheme: dark)")
    found = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", light))
    return found if scheme == "light" else {**found, **dict(re.findall(
        r"--([a-z-]+): (#[0-9a-f]{6})", dark
    ))}  # fmt: skip


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_is_enough_to_read(scheme):
    have = colours(scheme)
    assert len(have) == 19
    states = ("ready", "starting", "degraded", "down", "draining")
    text = [(one, back) for one in ("text", "muted", "link", "down") for back in ("back", "panel")]
    text += [(one, f"{one}-back") for one in states]
    for one, back in text:
        assert contrast(have[one], have[back]) >= 4.5, (one, back)
    for one, back in (("plot", "panel"), ("plot", "area"), ("down", "down-back"), ("focus", "back"), ("focus", "panel")):  # fmt: skip
        assert contrast(have[one], have[back]) >= 3, (one, back)


def test_both_schemes_name_the_same_colours():
    assert colours("light").keys() == colours("dark").keys()
    assert not set(colours("light").items()) & set(colours("dark").items())
    used = set(re.findall(r"var\(--([a-z-]+)\)", STYLE))
    assert used == set(colours("light"))


def test_nothing_moves():
    assert not re.search(r"animation|transition|scroll-behavior", STYLE)


# -- in the browser


@pytest.mark.parametrize(
    ("width", "scheme"), [(1280, "light"), (1280, "dark"), (820, "light"), (360, "dark")]
)
def test_it_fits_and_keeps_to_itself(chromium, width, scheme):
    async def work():
        async with backend() as engine:
            models = {"m": model(engine.url, "http://127.0.0.1:1"), **HOSTILE}
            async with open_router(models) as front, chromium.window(width, scheme) as look:
                for dummy in range(3):
                    await ask(front, "m")
                await look.open(front)
                assert await look.overflow() == []
                background = await look.page.evaluate(
                    "getComputedStyle(document.documentElement).backgroundColor"
                )
                wanted = colours(scheme)["back"]
                assert [int(one) for one in re.findall(r"\d+", background)] == [
                    int(wanted[at : at + 2], 16) for at in (1, 3, 5)
                ]
                # Hostile names are there, as text.
                names = await look.page.locator("table.models th[scope=row] bdi").all_inner_texts()
                assert "<img src=x onerror=alert(1)>" in names
                assert "</script><script>document.title='owned'</script>" in names
                assert "\ufffdgnp.exe" in names
                assert await look.page.locator("img").count() == 0
                assert "OneHop router" in await look.page.title()
                # A row looks like any other, however long its name.
                heights = await look.page.evaluate(
                    "[...document.querySelectorAll('table.replicas tbody tr')].map(one => one.offsetHeight)"
                )
                assert max(heights) < (330 if width == 360 else 260)
                await until(lambda: len(look.asked) > 3)
                assert await look.overflow() == []
                look.quiet(front)

    chromium.run(work())


def test_it_follows_what_happens(chromium):
    async def work():
        go = asyncio.Event()

        async def slow(request: Message, wire: Wire) -> None:
            await go.wait()
            await echo(request, wire)

        async with backend(slow) as engine, backend() as other:
            models = {"m": model(engine.url, max_concurrent_requests=1), "n": model(other.url)}
            settings = {"max_queued_requests": 5, "queue_seconds": 60}
            async with open_router(models, **settings) as front, chromium.window() as look:
                await look.open(front)
                page = look.page
                said = page.locator("#said")
                assert "ready" in await look.row("n")
                plot = (
                    page.locator("table.models tbody tr", has_text="m").locator(".plot .line").first
                )
                assert await plot.get_attribute("d") == ""
                asked = [asyncio.create_task(ask(front, "m")) for dummy in range(3)]
                cells = page.locator("table.models tbody tr").nth(0).locator("td")
                await expect(cells.nth(1)).to_have_text("1 of 1")
                await expect(cells.nth(2)).to_have_text("2")
                go.set()
                await asyncio.gather(*asked)
                await expect(plot).not_to_have_attribute("d", "")
                label = await page.locator("table.models .plot").first.get_attribute("aria-label")
                assert re.fullmatch(r"Requests of the last ten minutes: now .*, at most .*", label)
                # A replica that is stopped, and comes back.
                other.kill()
                assert (await ask(front, "n")).status == 502
                await page.wait_for_selector("table.replicas .state.down")
                assert "down" in await look.row("n")
                assert "cannot connect" in await look.row("n", "replicas")
                await expect(said).to_contain_text("model n: down")
                assert "not ready" in await page.title()
                await other.start()
                await page.wait_for_selector("table.replicas .state.down", state="detached")
                await expect(said).to_contain_text("model n: ready")
                assert await said.get_attribute("role") == "status"
                # Numbers alone are not announced.
                before = await said.inner_text()
                await ask(front, "m")
                count = len(look.asked)
                await until(lambda: len(look.asked) > count + 2)
                assert await said.inner_text() == before
                look.quiet(front)

    chromium.run(work())


def test_a_drain_is_shown(chromium):
    async def work():
        go = asyncio.Event()

        async def slow(request: Message, wire: Wire) -> None:
            await go.wait()
            await echo(request, wire)

        async with backend(slow) as engine:
            async with open_router({"m": model(engine.url)}) as front, chromium.window() as look:
                await look.open(front)
                asked = asyncio.create_task(ask(front, "m"))
                await until(lambda: engine.requests)
                drain = asyncio.create_task(front.router.drain(30, patient=True))
                await look.page.wait_for_selector("header .banner.draining")
                assert "draining" in await look.page.locator("header .state").inner_text()
                go.set()
                await asked
                # The request that was under way has its answer.
                assert await drain == 0

    chromium.run(work())


def test_without_an_answer_it_says_so_and_recovers(chromium):
    async def work():
        async with (
            open_router({"m": model("http://127.0.0.1:2")}) as front,
            chromium.window() as look,
        ):
            await look.open(front)
            show = front.router.board.show

            def fail(path: str) -> Any:
                raise RuntimeError("a router that hangs up")

            front.router.table.status = fail
            await look.page.wait_for_selector("#lost:not([hidden])")
            assert "No answer from the router" in await look.page.locator("#lost").inner_text()
            assert "No answer" in await look.page.locator("#said").inner_text()
            front.router.table.status = show
            await look.page.wait_for_selector("#lost", state="hidden")
            # The key is taken away, and given back.
            for keys, hidden in ((KEYS["alice"], False), (KEYS["ops"], True)):
                front.router.load(parse(json.dumps({"client_keys": {"ops": keys}}), {}))
                await expect(look.page.locator("#lost")).to_be_visible(visible=not hidden)
            assert "does not take the key" in await look.page.locator("#lost").inner_text()

    chromium.run(work())


def test_keys_and_readers_find_their_way(chromium):
    async def work():
        async with backend() as engine:
            models = {"m": model(engine.url), "n": model(engine.url)}
            async with open_router(models) as front, chromium.window() as look:
                page = look.page
                await look.open(front)

                async def focused() -> str:
                    return await page.evaluate("document.activeElement.innerText")

                await page.keyboard.press("Tab")
                assert await focused() == "Skip to the models"
                box = await page.locator(".skip").bounding_box()
                assert box is not None and box["y"] >= 0
                outline = await page.evaluate(
                    "getComputedStyle(document.activeElement).outlineStyle"
                )
                assert outline == "solid"
                await page.keyboard.press("Enter")
                assert await page.evaluate("document.activeElement.id") == "models"
                await page.keyboard.press("Tab")
                assert await focused() == "Pause updates"
                # It stays in focus while the page changes, and stops it.
                count = len(look.asked)
                await until(lambda: len(look.asked) > count + 2)
                assert await focused() == "Pause updates"
                await page.keyboard.press("Space")
                assert await page.locator("#pause").get_attribute("aria-pressed") == "true"
                await asyncio.sleep(0.3)
                count = len(look.asked)
                await asyncio.sleep(0.7)
                assert len(look.asked) == count
                await page.keyboard.press("Enter")
                await until(lambda: len(look.asked) > count)
                await page.keyboard.press("Tab")
                assert await focused() == "The same as JSON"
                # What a screen reader is given; a row of cards is still a row of a table.
                for width in (1280, 360):
                    await page.set_viewport_size({"width": width, "height": 800})
                    table = page.get_by_role("table", name="Models")
                    assert await table.get_by_role("columnheader").count() == 8
                    assert await table.get_by_role("rowheader", name="n").count() == 1
                    assert await table.get_by_role("row").count() == 3
                    assert await table.get_by_role("img").count() == 6
                for role, name in (("heading", "OneHop router"), ("main", None), ("banner", None)):
                    assert await page.get_by_role(role, name=name).count() == 1  # type: ignore[arg-type]
                assert await page.evaluate("document.documentElement.lang") == "en"
                look.quiet(front)

    chromium.run(work())


def test_without_scripts_it_is_there_too(chromium):
    async def work():
        models = {"m": model("http://127.0.0.1:1")}
        async with open_router(models) as front, chromium.window(java_script_enabled=False) as look:
            await ask(front, "m")
            await look.open(front)
            assert "down" in await look.row("m")
            assert await look.page.locator("footer noscript p").inner_text()
            assert not await look.page.locator("#pause").is_visible()
            assert await look.page.locator("table.models .plot").count() == 3

    chromium.run(work())


def test_the_policy_holds(chromium):
    async def work():
        async with backend() as stranger:
            async with (
                open_router({"m": model("http://127.0.0.1:2")}) as front,
                chromium.window() as look,
            ):
                await look.open(front)
                tried = await look.page.evaluate(
                    """async (stranger) => {
                        const tried = {};
                        try { document.body.innerHTML = "<p>x</p>"; tried.html = true; }
                        catch { tried.html = false; }
                        const script = document.createElement("script");
                        try { script.textContent = "window.ran = true"; document.body.append(script); }
                        catch { /* refused even sooner */ }
                        tried.script = Boolean(window.ran);
                        const style = document.createElement("style");
                        style.textContent = "h1 { color: rgb(1, 2, 3) }";
                        document.head.append(style);
                        tried.style = getComputedStyle(document.querySelector("h1")).color == "rgb(1, 2, 3)";
                        try { await fetch(stranger); tried.fetch = true; } catch { tried.fetch = false; }
                        tried.image = await new Promise((done) => {
                            const image = new Image();
                            image.onload = () => done(true);
                            image.onerror = () => done(false);
                            image.src = stranger;
                        });
                        return tried;
                    }""",
                    stranger.url,
                )
                assert tried == dict.fromkeys(("html", "script", "style", "fetch", "image"), False)
                assert not stranger.requests
                assert all(
                    "Content Security Policy" in one or "Trusted" in one for one in look.said
                )
                # No other page may frame it, nor read it.
                other = await look.page.context.new_page()
                await other.goto(f"{stranger.url}/")
                read = await other.evaluate(
                    "(url) => fetch(url).then(() => true, () => false)", f"{front.url}/status.json"
                )
                assert read is False

    chromium.run(work())


def test_a_browser_asks_for_the_key(chromium):
    async def work():
        async with open_router({}) as front:
            # Chromium without a window has nobody to ask, and says so.
            async with chromium.window(http_credentials=None) as look:
                with pytest.raises(Error, match="ERR_INVALID_AUTH_CREDENTIALS"):
                    await look.page.goto(f"{front.url}/status")
            wrong = {"username": "", "password": "sk-wrong"}
            async with chromium.window(http_credentials=wrong) as look:
                answer = await look.page.goto(f"{front.url}/status")
                assert answer is not None and answer.status == 401
            assert (await front.ask(get("/health"))).status == 200

    chromium.run(work())


def test_chromium_is_here():
    assert Path(CHROMIUM).exists(), "scripts/bootstrap installs it"
