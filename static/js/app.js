// What the frame does on top of htmx: failures in words, toasts, offline bar, menus, one submit per form.
// Every page works without this file; nothing here decides an outcome.

const TOAST_MS = 6000;
const clone = (id) => document.getElementById(id)?.content.firstElementChild.cloneNode(true);

/* ---- failures of htmx requests: a card where the content would be, never a blank region ---- */

function showFailure(event, words) {
  const { target, requestConfig } = event.detail;
  const card = clone("failure-card");
  if (!card || !target) return;
  document.getElementById("failure")?.remove();
  card.id = "failure";
  const mayRepeat = requestConfig?.verb === "get";
  // A broken answer to a write does not tell whether it was done: never invite to repeat it unseen.
  const unsure = !mayRepeat && words === "server";
  card.querySelector("[data-what]").textContent = card.dataset[unsure ? "unsure" : words];
  const reference = event.detail.xhr?.getResponseHeader("X-Request-ID");
  if (reference) card.querySelector("[data-reference]").textContent = reference;
  const retry = card.querySelector("[data-retry]");
  if (mayRepeat) retry.href = requestConfig.path;
  else retry.remove();
  // Above the region: what was typed stays, and a polling element is not replaced by its own error.
  target.before(card);
  if (!mayRepeat) card.focus();
}

document.addEventListener("htmx:responseError", (event) => {
  const status = event.detail.xhr.status;
  if (status === 401) return; // the server's HX-Redirect is already leading to sign-in
  if (status === 429 && tryLater(event)) return;
  showFailure(event, { 403: "forbidden", 404: "missing", 429: "busy" }[status] ?? "server");
});
// A look that came too often is repeated by itself when the server said it may; a write is left to the person.
const LONGEST_WAIT = 120;
function tryLater(event) {
  const { xhr, target, elt, requestConfig } = event.detail;
  const seconds = Number.parseInt(xhr.getResponseHeader("Retry-After") ?? "", 10);
  if (requestConfig?.verb !== "get" || !(seconds > 0 && seconds <= LONGEST_WAIT)) return false;
  showFailure(event, "wait");
  const card = document.getElementById("failure");
  const words = card?.dataset.wait ?? "";
  let left = seconds;
  const tick = () => {
    if (!card?.isConnected) return;
    card.querySelector("[data-what]").textContent = words.replace("{n}", left);
    if (left > 0) setTimeout(tick, 1000);
    else if (target.isConnected) htmx.ajax("GET", requestConfig.path, { source: elt, target });
    left -= 1;
  };
  tick();
  return true;
}

/* ---- a search is answered while one types ---- */

// Leaving its field is no change: the list would be asked for again, and whoever pressed "Next" would be back on page 1.
document.addEventListener("change", (event) => {
  if (event.target.matches("form[hx-trigger*='input changed'] input[type=search]")) event.stopPropagation();
}, true);

/* ---- a region that waits shows a skeleton of its own size after 400 ms, and says so after 8 seconds ---- */

const SLOW_MS = 400;
const VERY_SLOW_MS = 8000;
const waiting = new WeakMap();
document.addEventListener("htmx:beforeRequest", (event) => {
  const { target, elt, requestConfig } = event.detail;
  const polls = (elt.getAttribute("hx-trigger") ?? "").includes("every");
  if (!target || polls || requestConfig?.verb !== "get") return;
  const slow = setTimeout(() => target.classList.add("loading"), SLOW_MS);
  const verySlow = setTimeout(() => target.classList.add("loading-long"), VERY_SLOW_MS);
  waiting.set(event.detail.xhr ?? elt, [target, slow, verySlow]);
});
document.addEventListener("htmx:afterRequest", (event) => {
  const key = waiting.has(event.detail.xhr) ? event.detail.xhr : event.detail.elt;
  const [target, ...timers] = waiting.get(key) ?? [];
  timers.forEach(clearTimeout);
  target?.classList.remove("loading", "loading-long");
});

document.addEventListener("htmx:sendError", (event) => {
  if (navigator.onLine && event.detail.requestConfig?.verb !== "get") showFailure(event, "server");
  else setOffline(true);
});
document.addEventListener("htmx:timeout", (event) => showFailure(event, "server"));
document.addEventListener("htmx:afterOnLoad", (event) => {
  setOffline(false);
  if (event.detail.xhr.status < 400) document.getElementById("failure")?.remove();
});

/* ---- offline bar ---- */

function setOffline(offline) {
  const bar = document.getElementById("offline");
  if (bar) bar.hidden = !offline;
}
window.addEventListener("offline", () => setOffline(true));
window.addEventListener("online", () => setOffline(false));

/* ---- polling rests while nobody looks; the next tick after return asks again ---- */

document.addEventListener("htmx:beforeRequest", (event) => {
  const trigger = event.detail.elt.getAttribute("hx-trigger") ?? "";
  if (document.hidden && trigger.includes("every")) event.preventDefault();
});

/* ---- toasts: at least six seconds, longer while read ---- */

function startToast(toast) {
  let timer;
  const stop = () => clearTimeout(timer);
  const start = () => { stop(); timer = setTimeout(() => toast.remove(), TOAST_MS); };
  toast.addEventListener("pointerenter", stop);
  toast.addEventListener("focusin", stop);
  toast.addEventListener("pointerleave", start);
  toast.addEventListener("focusout", start);
  toast.querySelector(".close")?.addEventListener("click", () => toast.remove());
  start();
}
const toasts = document.getElementById("toasts");
if (toasts) {
  toasts.querySelectorAll(".toast").forEach(startToast);
  new MutationObserver((changes) => {
    for (const change of changes) {
      for (const node of change.addedNodes) if (node.classList?.contains("toast")) startToast(node);
    }
  }).observe(toasts, { childList: true });
}

/* ---- menus are <details>: Esc and a click elsewhere close them ---- */

const openMenus = () => document.querySelectorAll("details.menu[open]");
document.addEventListener("click", (event) => {
  openMenus().forEach((menu) => { if (!menu.contains(event.target)) menu.open = false; });
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  openMenus().forEach((menu) => { menu.open = false; menu.querySelector("summary").focus(); });
});

/* ---- forms: one submit, errors get the focus, passwords can be read ---- */

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post" || event.defaultPrevented) return;
  if (event.submitter?.formTarget) return; // the answer goes into a frame: the page and its form stay
  if (form.classList.contains("sending")) event.preventDefault();
  else form.classList.add("sending");
});
// Back from the page cache must find a form that can be sent again.
window.addEventListener("pageshow", () => {
  document.querySelectorAll("form.sending").forEach((form) => form.classList.remove("sending"));
});
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-reveal]");
  if (!button) return;
  const input = document.getElementById(button.dataset.reveal);
  const show = input.type === "password";
  input.type = show ? "text" : "password";
  button.setAttribute("aria-pressed", String(show));
});

function prepare(root) {
  root.querySelector(".error-summary")?.focus();
  root.querySelectorAll("[data-needs-js]").forEach((part) => { part.hidden = false; });
}
prepare(document);
document.addEventListener("htmx:afterSettle", (event) => prepare(event.detail.elt.parentNode ?? document));

/* ---- moments of the last day in lists are told relatively; the exact one shows on hover and focus ---- */

const DAY_SECONDS = 86400;
const relative = new Intl.RelativeTimeFormat(document.documentElement.lang || "en", { numeric: "auto", style: "short" });

function tellTimes(root) {
  root.querySelectorAll("main .table td time[datetime]").forEach((time) => {
    const age = (Date.now() - Date.parse(time.dateTime)) / 1000;
    if (!time.dataset.exact) time.dataset.exact = time.textContent;
    if (age < 0 || age >= DAY_SECONDS) return;
    if (!time.hasAttribute("tabindex")) time.tabIndex = 0;
    time.title = time.dataset.exact;
    if (time !== document.activeElement) time.textContent = inWords(age);
  });
}
function inWords(age) {
  if (age < 60) return relative.format(0, "minute").replace(/^./u, (letter) => letter.toLowerCase());
  return age < 3600 ? relative.format(-Math.floor(age / 60), "minute") : relative.format(-Math.floor(age / 3600), "hour");
}
document.addEventListener("focusin", ({ target }) => {
  if (target.matches?.("time[data-exact]")) target.textContent = target.dataset.exact;
});
document.addEventListener("focusout", ({ target }) => {
  if (target.matches?.("time[data-exact]")) setTimeout(() => tellTimes(document));
});
tellTimes(document);
setInterval(() => { if (!document.hidden) tellTimes(document); }, 60_000);
document.addEventListener("htmx:afterSettle", () => tellTimes(document));

/* ---- the calculator of the front page: the server works it out, the answer takes the place of the last one ---- */

document.addEventListener("input", (event) => {
  const form = event.target.closest("[data-calculator]");
  if (!form) return;
  clearTimeout(form.dataset.timer);
  form.dataset.timer = setTimeout(() => workOut(form), 250);
});
async function workOut(form) {
  const url = new URL(form.action);
  url.search = new URLSearchParams(new FormData(form));
  try {
    const answer = await fetch(url, { headers: { Accept: "text/html" } });
    if (!answer.ok) return; // the button still asks the server
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const result = page.querySelector(".calculator-result");
    if (result) form.querySelector(".calculator-result").replaceChildren(...result.childNodes);
  } catch {
    setOffline(true);
  }
}
