// The list of contacts: one press ticks or unticks every contact of the page. The list works without it.

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-tick-all]");
  if (!button) return;
  const boxes = [...button.form.querySelectorAll('input[name="contact"]')];
  const tick = boxes.some((box) => !box.checked);
  boxes.forEach((box) => { box.checked = tick; });
  button.setAttribute("aria-pressed", String(tick));
});
