// Completes the query of the fleet page: a combobox with a list (WAI-ARIA), whose options
// the server draws for the position of the cursor.
const input = document.querySelector("#query");
const list = document.querySelector("#query-options");
const said = document.querySelector("#query-said");
const WAIT_MS = 120;
const ENDS_WORD = { field: ":", key: ":" };
const WORDS = ["AND", "OR", "NOT", "TO"];

// The server counts characters, the browser UTF-16 units: "😀" is two of these.
const characters = (text) => Array.from(text);
const unitsOf = (text, place) => characters(text).slice(0, place).join("").length;

let timer = 0;
let asked = 0; // the number of the last question: an answer to an older one is dropped
let active = -1;
let drawnFor = ""; // the query that the options belong to

const options = () => [...list.querySelectorAll("[role=option]")];
const isOpen = () => !list.hidden;

const close = () => {
  clearTimeout(timer);
  asked += 1;
  list.hidden = true;
  list.replaceChildren();
  active = -1;
  said.textContent = "";
  input.setAttribute("aria-expanded", "false");
  input.removeAttribute("aria-activedescendant");
};

const unchoose = () => {
  active = -1;
  for (const option of options()) option.setAttribute("aria-selected", "false");
  input.removeAttribute("aria-activedescendant");
};

const choose = (place) => {
  const all = options();
  if (!all.length) return;
  active = (place + all.length) % all.length;
  all.forEach((option, n) => option.setAttribute("aria-selected", String(n === active)));
  all[active].scrollIntoView({ block: "nearest" });
  input.setAttribute("aria-activedescendant", all[active].id);
};

const ask = async () => {
  const number = ++asked;
  const query = input.value;
  const before = query.slice(0, input.selectionStart);
  const wanted = new URLSearchParams({ q: query, at: characters(before).length });
  let text = "";
  try {
    const answer = await fetch(`${list.dataset.url}?${wanted}`);
    if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
    text = await answer.text();
  } catch {
    if (number === asked) close(); // typing goes on without completion
    return;
  }
  if (number !== asked || input.value !== query) return;
  const found = new DOMParser().parseFromString(text, "text/html").querySelector("ul");
  list.replaceChildren(...found.children);
  list.dataset.from = unitsOf(query, Number(found.dataset.from));
  list.dataset.to = unitsOf(query, Number(found.dataset.to));
  drawnFor = query;
  const all = options();
  const typed = query.slice(list.dataset.from, list.dataset.to);
  if (!all.length || (all.length === 1 && all[0].dataset.text === typed)) { close(); return; }
  active = -1;
  input.removeAttribute("aria-activedescendant");
  list.hidden = false;
  input.setAttribute("aria-expanded", "true");
  said.textContent = all.length === 1 ? "1 completion" : `${all.length} completions`;
};

const askSoon = (wait = WAIT_MS) => {
  clearTimeout(timer);
  timer = setTimeout(ask, wait);
};

const accept = (option) => {
  if (input.value !== drawnFor) { askSoon(0); return; } // typed on meanwhile
  const { text, kind } = option.dataset;
  const begin = Number(list.dataset.from);
  const rest = input.value.slice(Number(list.dataset.to));
  const after = WORDS.includes(text) && kind === "operator" ? " " : ENDS_WORD[kind] ?? "";
  const put = rest.startsWith(after) ? text : text + after;
  input.value = input.value.slice(0, begin) + put + rest;
  const place = begin + text.length + after.length;
  input.setSelectionRange(place, place);
  close();
  if (kind !== "value") askSoon(0); // a field's values, a condition after AND
};

/** Accept the active option, if there is one; else the key does what it always does. */
const take = () => {
  const option = isOpen() ? options()[active] : null;
  if (option) accept(option); else close();
  return Boolean(option);
};

const keys = {
  ArrowDown: () => { if (isOpen()) choose(active + 1); else ask(); return true; },
  ArrowUp: () => { if (isOpen()) choose(active < 0 ? -1 : active - 1); return isOpen(); },
  Escape: () => { const was = isOpen(); close(); return was; },
  Enter: () => take(),
  Tab: () => take(),
};

if (input && list) {
  input.removeAttribute("list"); // the browser's own list would cover ours
  input.setAttribute("role", "combobox");
  input.setAttribute("aria-autocomplete", "list");
  input.setAttribute("aria-controls", list.id);
  input.setAttribute("aria-expanded", "false");
  input.addEventListener("input", () => { unchoose(); askSoon(); });
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    if (keys[event.key]?.()) event.preventDefault();
  });
  // A moved cursor is another place: what is shown belongs to the one before.
  input.addEventListener("pointerdown", close);
  for (const key of ["ArrowLeft", "ArrowRight", "Home", "End"]) keys[key] = () => { close(); return false; };
  list.addEventListener("mousedown", (event) => event.preventDefault()); // keep the focus
  list.addEventListener("click", (event) => {
    const option = event.target.closest("[role=option]");
    if (option) accept(option);
  });
}
