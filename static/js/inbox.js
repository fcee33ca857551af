// The answer box: "/" offers saved replies, one click or Enter puts the words in; the newest words are in sight.
// Without this file the saved replies are buttons that the server answers.

const box = () => document.getElementById("id_text");
const saved = () => document.getElementById("saved-replies");
const SLASH = /(^|\s)\/(\S*)$/;

function typedName() {
  const field = box();
  const found = field && SLASH.exec(field.value.slice(0, field.selectionStart));
  return found ? found[2].toLowerCase() : null;
}

function offer() {
  const list = saved();
  if (!list) return;
  const name = typedName();
  list.querySelectorAll("[data-name]").forEach((button) => {
    button.hidden = name !== null && !button.dataset.name.startsWith(name);
  });
  if (name !== null) list.open = true;
}

function insert(button) {
  const field = box();
  const before = field.value.slice(0, field.selectionStart).replace(SLASH, "$1");
  const after = field.value.slice(field.selectionStart);
  const gap = before && !/\s$/.test(before) ? " " : "";
  field.value = before + gap + button.dataset.text + after;
  field.selectionStart = field.selectionEnd = field.value.length - after.length;
  field.focus();
  saved().open = false;
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

document.addEventListener("input", (event) => { if (event.target === box()) offer(); });
document.addEventListener("click", (event) => {
  const button = event.target.closest("#saved-replies [data-text]");
  if (!button) return;
  event.preventDefault();
  insert(button);
});
document.addEventListener("keydown", (event) => {
  if (event.target !== box() || typedName() === null || !saved()?.open) return;
  if (event.key === "Escape") saved().open = false;
  if (event.key !== "Enter") return;
  const first = saved().querySelector("[data-name]:not([hidden])");
  if (!first) return;
  event.preventDefault();
  insert(first);
});

/* ---- what was said last stays in sight, unless one reads further up ---- */

let last = null;
function follow() {
  const talk = document.querySelector(".talk");
  const newest = talk?.lastElementChild?.id;
  if (newest && newest !== last && (last === null || talk.scrollHeight - talk.scrollTop - talk.clientHeight < 200)) {
    talk.scrollTop = talk.scrollHeight;
  }
  last = newest ?? last;
}
document.addEventListener("htmx:afterSettle", follow);
follow();
