// A list with checkboxes: "select all" in the head, and a button that needs a selection.
for (const form of document.querySelectorAll("form[data-picks]")) {
  const picks = [...form.querySelectorAll("input.pick")];
  const head = form.querySelector("[data-pick-all]");
  const send = form.querySelector("[data-pick-send]");
  if (!head || !send) continue;
  const label = send.textContent;

  const draw = () => {
    const ticked = picks.filter((pick) => pick.checked).length;
    head.checked = ticked > 0 && ticked === picks.length;
    head.indeterminate = ticked > 0 && ticked < picks.length;
    send.disabled = ticked === 0;
    send.textContent = ticked ? `${label} ${ticked}` : label;
  };

  form.addEventListener("change", (event) => {
    if (event.target === head) for (const pick of picks) pick.checked = head.checked;
    draw();
  });
  draw();
}
