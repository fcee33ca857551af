// <button data-copy="id" data-done="Copied" data-needs-js hidden>: puts the text of #id on the clipboard and says so.

const SHOWN_MS = 2000;

function copyBySelection(source) {
  // Plain-http addresses other than localhost have no navigator.clipboard.
  const range = document.createRange();
  range.selectNodeContents(source);
  const selection = getSelection();
  selection.removeAllRanges();
  selection.addRange(range);
  return document.execCommand("copy");
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copy);
  let done;
  try {
    await navigator.clipboard.writeText(source.textContent.trim());
    done = true;
  } catch {
    done = copyBySelection(source); // leaves the text selected, so that Ctrl+C works if this fails as well
  }
  if (!done) return;
  const label = button.querySelector("[data-label]") ?? button;
  const before = label.textContent;
  label.textContent = button.dataset.done;
  const announce = document.getElementById("announce");
  if (announce) announce.textContent = button.dataset.done;
  setTimeout(() => { label.textContent = before; }, SHOWN_MS);
});
