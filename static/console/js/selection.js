// The selection of the fleet table: "select all" checkboxes, and the text of the dock.
const form = document.querySelector("#selection");
const dock = document.querySelector("#dock");

if (form && dock) {
  const total = Number(form.dataset.total);
  const picks = [...form.querySelectorAll("input.pick")];
  const whole = dock.querySelector("input[name=all]");
  const head = form.querySelector("#pick-page");
  const send = dock.querySelector("#send");
  const number = new Intl.NumberFormat("en-US");
  const devices = (n) => `${number.format(n)} ${n === 1 ? "device" : "devices"}`;

  const draw = () => {
    const ticked = picks.filter((pick) => pick.checked).length;
    const chosen = whole.checked ? total : ticked;
    dock.querySelector("#selected").textContent =
      whole.checked ? "all matches selected ·" : `${number.format(ticked)} selected ·`;
    send.disabled = chosen === 0;
    send.textContent = chosen ? `Send to ${devices(chosen)} …` : "Send to selected devices …";
    head.checked = ticked > 0 && ticked === picks.length;
    head.indeterminate = ticked > 0 && ticked < picks.length;
  };

  document.addEventListener("change", (event) => {
    if (event.target === head) for (const pick of picks) pick.checked = head.checked;
    else if (event.target === whole) for (const pick of picks) pick.checked = whole.checked;
    else if (!picks.includes(event.target)) return;
    if (event.target !== whole) whole.checked = false;
    draw();
  });
  draw();
}
