"""Finds what is wider than its card or the page, at every width of a window."""

from __future__ import annotations

from playwright.async_api import Page

WIDTHS = (390, 768, 1280, 1440, 1920)
ROOMY = 1280  # from here on, a table has to fit into its card
# What is wider than its box is a fault, but for boxes that scroll and for menus, which
# hang over the page. Text may be cut only with an ellipsis.
SCRIPT = """
(isRoomy) => {
  const found = [];
  const nodes = (selector) => [...document.querySelectorAll(selector)]
    .filter((node) => node.checkVisibility() && !node.closest(".visually-hidden, pre"));
  const name = (node) => {
    const names = [node.localName, node.id && `#${node.id}`, ...node.classList];
    const text = node.textContent.trim().slice(0, 30);
    return `${names.filter(Boolean).join(".")} "${text}"`;
  };
  const past = (node) => node.scrollWidth - node.clientWidth;
  const tell = (text, node) => found.push(`${text}: ${name(node)}`);

  for (const part of document.querySelectorAll("td details, details.reveal"))
    part.open = true;
  const root = document.scrollingElement;
  if (past(root) > 0) {
    const right = (node) => node.getBoundingClientRect().right;
    const widest = nodes("body *").reduce((a, b) => (right(b) > right(a) ? b : a));
    tell(`${past(root)} px beyond the window`, widest);
  }
  const boxes = ".main > *, .card, .facet, :is(.fleet, .job, .device, .two) > *";
  for (const box of nodes(boxes)) {
    const style = getComputedStyle(box);
    const scrolls = style.overflowX !== "visible" && style.overflowX !== "hidden";
    if (past(box) > 1 && (!scrolls || (isRoomy && box.matches(".card"))))
      tell(`${past(box)} px too wide`, box);
  }
  for (const part of nodes(".main *:not(svg, svg *, select, input, textarea)")) {
    const { overflowX, textOverflow, clipPath } = getComputedStyle(part);
    const isCut = ["hidden", "clip"].includes(overflowX) && textOverflow !== "ellipsis";
    if (isCut && clipPath === "none" && past(part) > 1) tell("cut", part);
  }
  const pen = document.createElement("canvas").getContext("2d");
  for (const select of nodes("select.form-select")) {
    const style = getComputedStyle(select);
    pen.font = style.font;
    const text = pen.measureText(select.selectedOptions[0]?.text ?? "").width;
    const padding = parseFloat(style.paddingLeft) + parseFloat(style.paddingRight);
    if (text > select.clientWidth - padding + 1) tell("text under the arrow", select);
  }
  return found;
}
"""


async def too_wide(page: Page) -> list[str]:
    """Return what is too wide on the open page; leave the window as it was."""
    before = page.viewport_size
    assert before is not None
    found = []
    for width in WIDTHS:
        await page.set_viewport_size({"width": width, "height": before["height"]})
        faults = await page.evaluate(SCRIPT, width >= ROOMY)
        found += [f"at {width} px, {fault}" for fault in faults]
    await page.set_viewport_size(before)
    return found
