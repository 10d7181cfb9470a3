"""Looks at a report's page in a browser: ``python -m tests.surveys.pages INDEX.html DIR``.

Writes pictures of it, light and dark, 390 and 1400 pixels wide, and in print, and says what a
keyboard and a reader of screens would stumble over. It needs the package playwright and a Chromium
(``--browser``); with ``--axe`` the file axe.min.js of axe-core judges accessibility too. It is no
test: what it shows is to be looked at.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

WIDTHS = (390, 1400)
SCHEMES = ("light", "dark")
# Of all that can have the focus, what shows no sign of it, and the order in which it is reached.
_FOCUSED = """() => {
  const one = document.activeElement, style = getComputedStyle(one);
  return [one.tagName, one.getAttribute("aria-label") || one.textContent.trim().slice(0, 60),
          style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0];
}"""
_WIDER = """() => document.documentElement.scrollWidth - document.documentElement.clientWidth"""


def main() -> int:
    """Look at a page; 1 if something was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("page", type=Path)
    parser.add_argument("folder", type=Path, help="for the pictures")
    parser.add_argument("--browser", help="path of a Chromium; else playwright's own")
    parser.add_argument("--axe", type=Path, help="axe.min.js of axe-core")
    given = parser.parse_args()
    from playwright.sync_api import sync_playwright

    given.folder.mkdir(parents=True, exist_ok=True)
    found: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=given.browser, args=["--no-sandbox"])
        for width in WIDTHS:
            for scheme in SCHEMES:
                found += _look(browser, given, width, scheme)
        found += _print(browser, given) + _keys(browser, given)
        browser.close()
    print(*(found or ["nothing was found"]), sep="\n")
    return 1 if found else 0


def _open(browser: Any, given: Any, width: int, scheme: str, found: list[str]) -> Any:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.on("console", lambda said: found.append(f"console: {said.text}"))
    page.on(
        "request",
        lambda one: one.url.startswith(("file:", "data:")) or found.append(f"network: {one.url}"),
    )
    page.goto(given.page.absolute().as_uri())
    return page


def _look(browser: Any, given: Any, width: int, scheme: str) -> list[str]:
    found: list[str] = []
    page = _open(browser, given, width, scheme, found)
    page.screenshot(path=given.folder / f"{scheme}-{width}.png", full_page=True)
    if (wider := page.evaluate(_WIDER)) > 0:
        found.append(f"{width} pixels, {scheme}: the page is {wider} pixels wider than the window")
    if given.axe is not None:
        page.add_script_tag(path=given.axe)
        for one in page.evaluate("() => axe.run()")["violations"]:
            places = [node["html"][:120] for node in one["nodes"][:3]]
            found.append(f"axe, {width} {scheme}: {one['id']} ({one['impact']}): {places}")
    page.close()
    return found


def _print(browser: Any, given: Any) -> list[str]:
    found: list[str] = []
    page = _open(browser, given, 1400, "dark", found)
    page.pdf(path=given.folder / "print.pdf", format="A4", print_background=True)
    page.close()
    return found


def _keys(browser: Any, given: Any) -> list[str]:
    """Go through the page with the tabulator."""
    found: list[str] = []
    page = _open(browser, given, 1400, "light", found)
    reached = []
    for _ in range(400):
        page.keyboard.press("Tab")
        tag, words, seen = page.evaluate(_FOCUSED)
        if tag == "BODY":
            break
        reached.append(f"{tag.lower()} {words}")
        if not seen:
            found.append(f"focus is not seen on {tag} {words}")
    print(f"{len(reached)} places are reached by the keyboard; the first: {reached[:6]}")
    page.close()
    return found


if __name__ == "__main__":
    sys.exit(main())
