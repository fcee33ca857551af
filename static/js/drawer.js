// The drawer beside a list: focus goes in when it opens and back to its row when it closes; Esc closes it.
// Without this file the drawer is part of the page and its Close is a link.

let row = null; // id of the row whose drawer is open

function follow() {
  const drawer = document.getElementById("drawer");
  const close = document.getElementById("drawer-close");
  if (drawer && close.dataset.row !== row) {
    row = close.dataset.row;
    drawer.scrollTop = 0;
    drawer.focus();
  } else if (!drawer && row) {
    document.querySelector(`#${row} a`)?.focus();
    row = null;
  }
}

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") document.getElementById("drawer-close")?.click();
});
document.addEventListener("htmx:afterSettle", follow);
follow();
