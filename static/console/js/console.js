// What every page needs from a script; each page also works without it.

const narrow = matchMedia("(max-width: 760px)");

/** "/" focuses the search; the query bar of the page first. */
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest?.("input, textarea, select, [contenteditable]")) return;
  const field = document.querySelector("#query") ?? document.querySelector("#find");
  if (!field) return;
  event.preventDefault();
  field.focus();
  field.select();
});

/** Menus and sheets close on Escape and on a click elsewhere. */
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

/** Messages can be put away. */
document.addEventListener("click", (event) => {
  event.target.closest?.("[data-dismiss]")?.closest(".note")?.remove();
});

/** Folded panels start closed where there is little room. */
const fold = () => {
  for (const panel of document.querySelectorAll("details.fold")) panel.open = !narrow.matches;
};
narrow.addEventListener("change", fold);
fold();

/** A select that is its form's only field sends it. */
document.addEventListener("change", (event) => {
  event.target.closest?.("form[data-submit-on-change]")?.requestSubmit();
});

/** A swap that cannot be drawn (a dead web process, a sign-out) is said, once. */
let told = false;
const tell = (text) => {
  if (told) return;
  told = true;
  const note = document.createElement("div");
  note.className = "note warning";
  note.setAttribute("role", "status");
  note.textContent = text;
  document.querySelector("#notes")?.append(note);
};
document.addEventListener("htmx:error", () => {
  tell("The console does not answer; what you see may be old. It goes on trying.");
});
document.addEventListener("htmx:after:swap", () => { told = false; });

/** A poll that was sent to the sign-in page takes the whole page there. */
document.addEventListener("htmx:before:swap", (event) => {
  const raw = event.detail?.ctx?.response?.raw;
  if (raw?.redirected && new URL(raw.url).pathname.startsWith("/accounts/")) {
    event.preventDefault();
    location.reload();
  }
});
