// Conveniences of the pages of contacts; each page works without them.

// The list: one press ticks or unticks every contact of the page.

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-tick-all]");
  if (!button) return;
  const boxes = [...button.form.querySelectorAll('input[name="contact"]')];
  const tick = boxes.some((box) => !box.checked);
  boxes.forEach((box) => { box.checked = tick; });
  button.setAttribute("aria-pressed", String(tick));
});

// The upload page: a file dropped anywhere on the marked area is the file that was chosen.
document.querySelectorAll("[data-drop]").forEach((area) => {
  const input = area.querySelector('input[type="file"]');
  const over = (event, is) => { event.preventDefault(); area.classList.toggle("over", is); };
  area.addEventListener("dragover", (event) => over(event, true));
  area.addEventListener("dragleave", (event) => over(event, false));
  area.addEventListener("drop", (event) => {
    over(event, false);
    if (event.dataTransfer.files.length !== 1) return;
    input.files = event.dataTransfer.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  });
});
