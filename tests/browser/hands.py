"""What a person does with a page: wait for something, press a button, read."""

from __future__ import annotations

import json
import time
from contextlib import suppress

from engines import Page


def until(page: Page, condition: str) -> None:
    """Wait until this is true in the page, whatever documents it goes through on the way."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        # While a document is exchanged for the next one, engines say so in errors of their own.
        with suppress(Exception):
            if page.evaluate(f"() => Boolean({condition})"):
                return
        time.sleep(0.02)
    raise AssertionError(f"never true: {condition}")


def press(page: Page, selector: str) -> None:
    """Wait for a button, press it, and do not wait for what it leads to."""
    press_element(page, f"document.querySelector({json.dumps(selector)})")


def press_text(page: Page, text: str) -> None:
    """The same for the button or tab with this text."""
    press_element(page, f"[...document.querySelectorAll('button, [role=tab]')].find({_SAYS}({json.dumps(text)}))")


_SAYS = "((text) => (element) => element.innerText.trim() === text)"


def press_element(page: Page, element: str) -> None:
    """The same for the element that this JavaScript expression finds."""
    until(page, f"({element}) && !({element}).disabled")
    # Some buttons listen to the mouse, and not to the click that comes of it.
    page.evaluate(
        f"""() => void setTimeout(() => {{
            const element = {element};
            element.dispatchEvent(new MouseEvent("mousedown", {{bubbles: true, button: 0}}));
            element.click();
        }})"""
    )


def text(page: Page, selector: str) -> str:
    """The text of an element."""
    told: str = page.evaluate("(selector) => document.querySelector(selector).textContent", selector)
    return told
