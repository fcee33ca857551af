// The palette (Ctrl K) and single keys. Nothing here does what a link or button of the page does not do as well.

const palette = document.getElementById("palette");
const list = document.getElementById("keys");
const box = document.getElementById("palette-q");
const singleKeys = !document.documentElement.hasAttribute("data-no-single-keys");
const places = JSON.parse(document.body.dataset.go || "{}");
const GO_MS = 1500;
let going = 0; // until when a letter after "g" leads to a page

// A field of a dialog that was just closed keeps the focus until the next frame: nobody types there.
const typing = (target) => target.closest("input, textarea, select, [contenteditable]") !== null
  && target.closest("dialog:not([open])") === null;
const isOpen = (dialog) => dialog?.open ?? false;

/* ---- palette ---- */

function openPalette() {
  if (!palette || isOpen(palette)) return;
  list?.close();
  palette.showModal();
  box.select();
  box.focus();
  answered = null;
  goes = false;
  box.dispatchEvent(new Event("palette"));
}

const hits = () => [...palette.querySelectorAll(".palette-hit")];

function move(step) {
  const found = hits();
  if (!found.length) return;
  const at = found.indexOf(document.activeElement);
  const next = at + step;
  if (next < 0 || (at < 0 && step < 0)) box.focus();
  else found[Math.min(next, found.length - 1)].focus();
}

let answered = null; // what the list is about
let goes = false; // Enter was pressed before the list had caught up
document.addEventListener("htmx:afterSettle", ({ detail }) => {
  if (detail.requestConfig?.elt === box) caughtUp(detail.requestConfig.parameters.q ?? "");
});
function caughtUp(asked) {
  answered = asked;
  if (goes && asked.trim() === box.value.trim()) {
    goes = false;
    hits()[0]?.click();
  }
}

palette?.addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    move(event.key === "ArrowDown" ? 1 : -1);
  } else if (event.key === "Escape") {
    event.preventDefault(); // a search field would only empty itself
    palette.close();
  } else if (event.key === "Enter" && document.activeElement === box) {
    event.preventDefault();
    if (box.value.trim() === answered?.trim()) hits()[0]?.click();
    else goes = true; // what is listed answers fewer letters than were typed
  } else if (event.key.length === 1 && !event.ctrlKey && !event.metaKey && document.activeElement !== box) {
    box.focus();
  }
});
for (const dialog of [palette, list]) {
  dialog?.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
}
document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-palette]");
  if (!opener || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  openPalette();
});

/* ---- rows ---- */

const rows = () => [...document.querySelectorAll("main table tbody tr, main ul.rows > li")].filter((row) => row.querySelector("a"));
const linkOf = (row) => row.querySelector(".main-cell a, a");
const rowOf = (target) => target.closest?.("main table tbody tr, main ul.rows > li") ?? null;

function step(by) {
  const found = rows();
  const at = found.indexOf(rowOf(document.activeElement));
  const row = found[at < 0 ? 0 : Math.min(Math.max(at + by, 0), found.length - 1)];
  if (row) linkOf(row).focus();
}

/* ---- single keys ---- */

const press = {
  "/": () => {
    const search = document.querySelector("main input[type=search]");
    if (search) search.focus();
    else openPalette();
  },
  "?": () => list?.showModal(),
  n: () => document.querySelector(".page-head .btn-primary, main .btn-primary[href]")?.click(),
  j: () => step(1),
  k: () => step(-1),
  x: () => rowOf(document.activeElement)?.querySelector("input[type=checkbox]")?.click(),
  e: () => (rowOf(document.activeElement) ?? document).querySelector("[data-edit], a[href$='/edit']")?.click(),
};
document.addEventListener("keydown", (event) => {
  if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey) {
    event.preventDefault();
    openPalette();
    return;
  }
  if (!singleKeys || event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
  if (document.querySelector("dialog[open]")) return;
  const now = Date.now();
  if (now < going && places[event.key]) {
    going = 0;
    location.assign(places[event.key]);
  } else if (event.key === "g") {
    going = now + GO_MS;
  } else if (press[event.key]) {
    event.preventDefault();
    press[event.key]();
  }
});
