// Keys for people who work through a list. "?" shows them, and switches them off.
//
// A key stands for what the page shows: data-key on a button, link or field of the row
// (or page), data-go on a link of the navigation. So no key can do more than the page.

const STORED = "keys"; // in this browser: "off", or nothing
const GO_MS = 1500; // after "g", the second letter
const PLACE = "keys-row"; // the row to return to, after an action has drawn the page again

const shown = document.querySelector("#keys");
const isOn = () => localStorage.getItem(STORED) !== "off";
let goUntil = 0;

const mark = () => {
  document.documentElement.classList.toggle("keys-off", !isOn());
  const box = shown?.querySelector("[data-keys-switch]");
  if (box) box.checked = isOn();
};

/** Text fields and open dialogs keep their keys; so do combinations with Ctrl or Alt. */
const isTyping = (event) =>
  event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.defaultPrevented ||
  document.querySelector("dialog[open]") !== null ||
  event.target.closest?.("select, textarea, [contenteditable], [role=textbox], input:not([type=checkbox], [type=radio], [type=submit], [type=button])");

const rows = () => [...document.querySelectorAll("tr[data-item]")];
const openerOf = (row) => row.querySelector("a.open, a.uid");
const rowHere = () => document.activeElement?.closest?.("tr[data-item]") ?? null;

const focusRow = (index) => {
  const all = rows();
  if (!all.length) return;
  const row = all[Math.max(0, Math.min(index, all.length - 1))];
  openerOf(row)?.focus();
  row.scrollIntoView({ block: "nearest" });
};
const step = (by) => {
  const here = rows().indexOf(rowHere());
  focusRow(here < 0 ? 0 : here + by);
};

/** The field of the query, else the search in the top bar. */
const focusSearch = () => {
  const field = document.querySelector("#query") ?? document.querySelector("#find");
  field?.focus();
  field?.select();
};

/** Press the button or follow the link of a key; a field is only focused. */
const press = (key) => {
  const row = rowHere();
  // In a list a key acts on the chosen row, and never on another one.
  const place = row ?? (rows().length ? null : document.querySelector("main"));
  const found = place?.querySelector(`[data-key="${key}"]`) ?? document.querySelector(`[data-key="${key}"][data-anywhere]`);
  if (!found) return false;
  if (found.matches("input:not([type=checkbox]), select, textarea")) {
    const folded = found.closest("details");
    if (folded) folded.open = true;
    found.focus();
    return true;
  }
  if (row) sessionStorage.setItem(PLACE, String(rows().indexOf(row)));
  found.click();
  return true;
};

const go = (key) => {
  const link = document.querySelector(`.nav [data-go="${key}"]`);
  link?.click();
  return link !== null;
};

const act = (key) => {
  if (performance.now() < goUntil) {
    goUntil = 0;
    return go(key);
  }
  if (key === "g") {
    goUntil = performance.now() + GO_MS;
    return true;
  }
  if (key === "/") focusSearch();
  else if (key === "j") step(1);
  else if (key === "k") step(-1);
  else return press(key);
  return true;
};

document.addEventListener("keydown", (event) => {
  if (isTyping(event) || event.key.length !== 1) return;
  if (event.key === "?") {
    event.preventDefault();
    shown?.showModal();
  } else if (isOn() && !(event.repeat && !"jk".includes(event.key)) && act(event.key)) {
    event.preventDefault();
  }
});

document.addEventListener("click", (event) => {
  if (event.target.closest?.("[data-keys-show]")) shown?.showModal();
});
shown?.querySelector("[data-keys-switch]")?.addEventListener("change", (event) => {
  if (event.target.checked) localStorage.removeItem(STORED);
  else localStorage.setItem(STORED, "off");
  mark();
});

mark();
const place = sessionStorage.getItem(PLACE);
sessionStorage.removeItem(PLACE);
if (place !== null && rows().length) focusRow(Number(place));
