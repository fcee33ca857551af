// The approvals queue by keys: j and k go to the next and the one before. Links of the page do the same.

const rows = [...document.querySelectorAll("[data-queue] tbody th a")];
const follow = (name) => document.querySelector(`a[data-${name}]`)?.click();

function step(by) {
  if (!rows.length) return follow(by > 0 ? "next" : "previous");
  const at = rows.indexOf(document.activeElement);
  rows[at < 0 ? 0 : Math.min(Math.max(at + by, 0), rows.length - 1)].focus();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
  if (event.key === "j") step(1);
  else if (event.key === "k") step(-1);
});
