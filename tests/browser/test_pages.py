"""Every page with much on it: on a telephone, by keys alone, with contrast."""

from typing import Literal

import pytest
from playwright.async_api import Page

from tests.browser.conftest import visit

# The narrowest telephones there are; of what is narrower WCAG 2.2, 1.4.10 speaks.
NARROW = 360
# The least contrast of WCAG 2.2, 1.4.3: of large text, and of all other.
CONTRASTS = """() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, n) => sum + c * [0.2126, 0.7152, 0.0722][n], 0);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const ground = rgba(getComputedStyle(at).backgroundColor);
      if (ground[3] === 255) return ground;
    }
    return [255, 255, 255, 255];
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const text = [...element.childNodes].filter((node) => node.nodeType === 3)
      .map((node) => node.data.trim()).join("");
    if (!text || !element.checkVisibility({ visibilityProperty: true })) continue;
    const style = getComputedStyle(element);
    const [a, b] = [light(rgba(style.color)), light(behind(element))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const isLarge = parseFloat(style.fontSize) >= 24;
    if (contrast < (isLarge ? 3 : 4.5)) found.push(`${contrast.toFixed(2)} ${text.slice(0, 40)}`);
  }
  return found;
}"""
# What keys are to reach, and what they do reach: of that, what does not show that it has the focus.
REACHABLE = """() => {
  window.reached = new Set(); window.unseen = [];
  document.addEventListener("focusin", ({ target }) => {
    window.reached.add(target);
    const { outlineStyle, outlineWidth } = getComputedStyle(target);
    const shows = outlineStyle !== "none" && parseFloat(outlineWidth) >= 2;
    if (!shows) window.unseen.push(target.outerHTML.slice(0, 80));
  });
  const all = "a[href], button, input, select, textarea, summary, [tabindex='0']";
  window.reachable = [...document.querySelectorAll(all)].filter((element) =>
    element.tabIndex >= 0 && !element.disabled
    && element.checkVisibility({ visibilityProperty: true }));
  // A date has stops of its own for day, month, year and the calendar.
  const dates = window.reachable.filter(({ type }) => type === "date");
  return window.reachable.length + 3 * dates.length;
}"""
LEFT_OUT = """() => [...window.unseen, ...window.reachable
  .filter((element) => element.isConnected && !window.reached.has(element))
  .map((element) => element.outerHTML.slice(0, 80))]"""


async def test_pages_fit_a_telephone(inside: Page, addresses: list[str]) -> None:
    await inside.set_viewport_size({"width": NARROW, "height": 740})
    widths: dict[str, int] = {}

    for address in [*addresses, "/ops/login"]:
        if address == "/ops/login":
            await inside.context.clear_cookies()
        await visit(inside, address)
        widths[address] = await inside.evaluate("document.documentElement.scrollWidth")

    assert {address: width for address, width in widths.items() if width > NARROW} == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_text_stands_out_from_what_is_behind_it(
    inside: Page, addresses: list[str], scheme: Literal["light", "dark"]
) -> None:
    await inside.emulate_media(color_scheme=scheme)
    faint: dict[str, list[str]] = {}

    for address in addresses:
        await visit(inside, address)
        faint[address] = await inside.evaluate(CONTRASTS)

    assert {address: texts for address, texts in faint.items() if texts} == {}


async def test_keys_reach_all_there_is_and_show_where_they_are(
    inside: Page, addresses: list[str]
) -> None:
    left_out: dict[str, list[str]] = {}

    for address in addresses:
        await visit(inside, address)
        for _ in range(await inside.evaluate(REACHABLE)):
            await inside.keyboard.press("Tab")
        left_out[address] = await inside.evaluate(LEFT_OUT)

    assert {address: elements for address, elements in left_out.items() if elements} == {}
