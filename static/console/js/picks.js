// A list with checkboxes: "select all" in the head, and a button that needs a selection.
// They belong to the form, wherever they stand; rows may be swapped meanwhile.
for (const form of document.querySelectorAll("form[data-picks]")) {
  const part = (what) => [...form.elements].filter((element) => element.matches(what));
  const [head] = part("[data-pick-all]");
  const [send] = part("[data-pick-send]");
  if (!head || !send) continue;
  const label = send.textContent;

  const draw = () => {
    const picks = part("input.pick");
    const ticked = picks.filter((pick) => pick.checked).length;
    head.checked = ticked > 0 && ticked === picks.length;
    head.indeterminate = ticked > 0 && ticked < picks.length;
    send.disabled = ticked === 0;
    send.textContent = ticked ? `${label} ${ticked}` : label;
  };

  document.addEventListener("change", (event) => {
    if (event.target.form !== form) return;
    if (event.target === head) for (const pick of part("input.pick")) pick.checked = head.checked;
    draw();
  });
  document.addEventListener("htmx:after:swap", draw);
  draw();
}
