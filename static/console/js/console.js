// Scripts for every page; each page also works without them.

const narrow = matchMedia("(max-width: 760px)");

/** Menus and sheets close on Escape and on a click outside. */
const openMenus = () => document.querySelectorAll("details.menu[open], details.act[open]");
document.addEventListener("click", (event) => {
  for (const menu of openMenus()) if (!menu.contains(event.target)) menu.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of openMenus()) {
    const inside = menu.contains(document.activeElement);
    menu.open = false;
    if (inside) menu.querySelector("summary").focus();
  }
});

/** A tip floats above everything, inside the window: a card that scrolls cuts nothing. */
const GAP = 4;
let tip = null;
let owner = null;
const hideTip = () => { tip?.remove(); tip = owner = null; };
const placeTip = () => {
  if (!owner?.isConnected) { hideTip(); return; }
  const mark = owner.getBoundingClientRect();
  const box = tip.getBoundingClientRect();
  const below = mark.bottom + GAP + box.height <= innerHeight;
  tip.style.left = `${Math.max(GAP, Math.min(mark.left, innerWidth - box.width - GAP))}px`;
  tip.style.top = `${Math.max(GAP, below ? mark.bottom + GAP : mark.top - GAP - box.height)}px`;
};
const showTip = (event) => {
  const found = event.target.closest?.("[data-tip]");
  hideTip();
  if (!found) return;
  owner = found;
  tip = document.createElement("div");
  tip.className = "tip-box";
  tip.setAttribute("aria-hidden", "true"); // a hidden text beside the mark says the same
  tip.textContent = owner.dataset.tip;
  document.body.append(tip);
  placeTip();
};
for (const name of ["pointerover", "focusin"]) document.addEventListener(name, showTip);
document.addEventListener("focusout", hideTip);
// The focus itself may scroll the page: the tip goes with its mark.
document.addEventListener("scroll", placeTip, true);

/** Messages can be dismissed. */
document.addEventListener("click", (event) => {
  event.target.closest?.("[data-dismiss]")?.closest(".note")?.remove();
});

/** An offer to undo goes after its seconds, but not while somebody is at it. */
const offer = document.querySelector("[data-undo]");
if (offer) {
  const end = setInterval(() => {
    if (offer.matches(":hover, :focus-within")) return;
    clearInterval(end);
    offer.remove();
  }, Number(offer.dataset.undo) * 1000);
}

/** Folded panels start closed on narrow screens. */
const fold = () => {
  for (const panel of document.querySelectorAll("details.fold")) panel.open = !narrow.matches;
};
narrow.addEventListener("change", fold);
fold();

/** Such a form is sent as soon as a field changes. */
document.addEventListener("change", (event) => {
  event.target.closest?.("form[data-submit-on-change]")?.requestSubmit();
});

/** A failed request (no web process, for example) shows one message. */
let isShown = false;
const showOnce = (text) => {
  if (isShown) return;
  isShown = true;
  const note = document.createElement("div");
  note.className = "note warning";
  note.setAttribute("role", "status");
  note.textContent = text;
  document.querySelector("#notes")?.append(note);
};
document.addEventListener("htmx:error", () => {
  showOnce("The server does not answer. This page may be out of date. It keeps trying.");
});
document.addEventListener("htmx:after:swap", () => { isShown = false; });

/** If a poll is redirected to the sign-in page, the whole page goes there. */
document.addEventListener("htmx:before:swap", (event) => {
  const raw = event.detail?.ctx?.response?.raw;
  if (raw?.redirected && new URL(raw.url).pathname.startsWith("/accounts/")) {
    event.preventDefault();
    location.reload();
  }
});
