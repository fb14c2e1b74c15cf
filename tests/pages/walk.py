"""Opens pages in Chromium, several at a time, and collects their errors."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import (
    Browser,
    BrowserContext,
    Page,
    Request,
    async_playwright,
)

from iotplatform.local.setup.test_packages import find_browser
from tests.conftest import CHROMIUM_OPTIONS
from tests.pages.completions import completion_faults, open_completions
from tests.pages.widths import too_wide
from tests.waiting import PATIENCE

T = TypeVar("T")

OPTIONS = [*CHROMIUM_OPTIONS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
AT_ONCE = 4
TIMEOUT_MS = PATIENCE * 1_000
ABORTED = "net::ERR_ABORTED"  # by the page itself, as when it is left
# The document fires an event for each violation of the content security policy.
REPORT_VIOLATIONS = """
document.addEventListener('securitypolicyviolation', (event) => console.error(
    `content security policy: ${event.violatedDirective} ${event.blockedURI}`));
"""
TWO_FRAMES = (
    "() => new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))"
)
COMPLETED = "/fleet/"  # also checked with its completions open
RULES = {
    "type": "tag",
    "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"],
}
# Of these, what depends on colours and width: the rest is in the page as it was sent.
RULES_OF_A_LOOK = {"type": "rule", "values": ["color-contrast", "target-size"]}
OVERFLOW = """() => document.scrollingElement.scrollWidth
    - document.scrollingElement.clientWidth"""


@dataclass(frozen=True)
class Look:
    """Window size and colour scheme of one pass."""

    name: str
    width: int
    height: int
    scheme: str
    judges_all: bool = True  # by every rule of axe, not only those of a look

    @property
    def is_light(self) -> bool:
        return self.scheme == "light"


LIGHT_AND_WIDE = Look("light and wide", 1440, 900, "light")
DARK_AND_NARROW = Look("dark and narrow", 390, 844, "dark")
Round = tuple[Look, str, Sequence[str]]  # look, session cookie, paths


@dataclass
class Tab:
    """One tab, with the errors and open requests of its page."""

    page: Page
    faults: list[str] = field(default_factory=list)
    open_requests: set[Request] = field(default_factory=set)

    @classmethod
    async def new(cls, context: BrowserContext) -> Tab:
        page = await context.new_page()
        tab = cls(page)
        page.on("console", tab._on_console)
        page.on("pageerror", lambda error: tab.faults.append(f"error: {error}"))
        page.on("request", lambda r: tab.open_requests.add(r))
        page.on("requestfinished", lambda r: tab.open_requests.discard(r))
        page.on("requestfailed", tab._on_failure)
        page.on("response", tab._on_response)
        return tab

    def _on_console(self, message: Any) -> None:
        if message.type == "error":
            self.faults.append(f"console: {message.text}")

    def _on_failure(self, request: Request) -> None:
        self.open_requests.discard(request)
        self.faults.append(f"no answer: {request.url}: {request.failure}")

    def _on_response(self, response: Any) -> None:
        if response.status >= 400:
            self.faults.append(f"{response.status}: {response.url}")

    async def open(self, url: str) -> None:
        """Open a page, and wait until all its requests are answered."""
        # Open requests of the previous page are dropped here and are no error.
        await self.page.goto("about:blank")
        self.faults.clear()
        self.open_requests.clear()
        await self.page.goto(url, wait_until="load", timeout=TIMEOUT_MS)
        await self.page.evaluate(TWO_FRAMES)
        async with asyncio.timeout(TIMEOUT_MS / 1_000):
            while self.open_requests:
                await self.page.evaluate(TWO_FRAMES)


async def _walk_pages(
    context: BrowserContext, base: str, paths: Sequence[str], look: Look
) -> list[str]:
    found: list[str] = []
    waiting = list(reversed(paths))

    async def work() -> None:
        tab = await Tab.new(context)
        while waiting:
            path = waiting.pop()
            try:
                await tab.open(base + path)
                if (beyond := await tab.page.evaluate(OVERFLOW)) > 0:
                    tab.faults.append(f"{beyond} px beyond {look.width}")
                if path == COMPLETED:
                    await open_completions(tab.page)
                if not path.startswith(("/admin/", "/api/")):
                    tab.faults += await barriers_of(tab.page, look)
                    tab.faults += await too_wide(tab.page) if look.is_light else []
                if path == COMPLETED:
                    tab.faults += await completion_faults(tab.page)
                    # The search that it starts leaves the page, and so ends what the
                    # page was still asking.
                    tab.faults = [f for f in tab.faults if ABORTED not in f]
            except Exception as error:
                tab.faults.append(repr(error))
            found.extend(f"{path}: {fault}" for fault in tab.faults)
            if tab.faults:
                # The error page of the browser may appear late and would disturb the
                # next page.
                await tab.page.close()
                tab = await Tab.new(context)
        await tab.page.close()

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return [f"{look.name}: {fault}" for fault in found]


async def barriers_of(page: Page, look: Look) -> list[str]:
    """Return accessibility errors by axe's rules for WCAG 2.2 AA."""
    rules = RULES if look.judges_all else RULES_OF_A_LOOK
    # Without this, axe lists the nodes of every rule that holds too: slow, never read.
    options = {"runOnly": rules, "resultTypes": ["violations"]}
    found = await Axe().run(page, options=options)
    return [
        f"{barrier['id']}: {barrier['help']}: {barrier['nodes'][0]['html'][:200]}"
        for barrier in found.response["violations"]
    ]


async def _context(browser: Browser, look: Look, base: str, cookie: str) -> Any:
    context = await browser.new_context(
        viewport={"width": look.width, "height": look.height},
        color_scheme=look.scheme,  # type: ignore[arg-type]
        reduced_motion="reduce",
    )
    await context.add_init_script(REPORT_VIOLATIONS)
    if cookie:
        await context.add_cookies([{"name": "sessionid", "value": cookie, "url": base}])
    return context


async def _walk(browser: Browser, base: str, rounds: Sequence[Round]) -> list[str]:
    found: list[str] = []
    for look, cookie, paths in rounds:
        context = await _context(browser, look, base, cookie)
        found += await _walk_pages(context, base, paths, look)
        await context.close()
    return found


def walk(base: str, rounds: Sequence[Round]) -> list[str]:
    """Open the paths of each round with its session; return all errors."""
    return in_chromium(lambda browser: _walk(browser, base, rounds))


def in_chromium(act: Callable[[Browser], Coroutine[Any, Any, T]]) -> T:
    """Run ``act`` with a browser, in a new thread.

    Another test's browser may have left an event loop in this thread.
    """

    async def with_browser() -> T:
        async with async_playwright() as playwright:
            path = find_browser()
            browser = await playwright.chromium.launch(
                executable_path=path, args=OPTIONS
            )
            found = await act(browser)
            await browser.close()
            return found

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, with_browser()).result()
