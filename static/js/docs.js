// Code samples: disclosures become tabs, and the language chosen is remembered on every page.

const STORE = "docs-language";

function remembered() {
  try { return localStorage.getItem(STORE); } catch { return null; }
}

function remember(language) {
  try { localStorage.setItem(STORE, language); } catch { /* a private window: the choice holds for this page */ }
}

function choose(language) {
  for (const box of document.querySelectorAll("[data-samples]")) {
    const samples = [...box.querySelectorAll("details")];
    if (!samples.some((sample) => sample.dataset.language === language)) continue;
    for (const sample of samples) {
      const chosen = sample.dataset.language === language;
      sample.open = chosen;
      sample.hidden = !chosen;
    }
    for (const tab of box.querySelectorAll("[role=tab]")) {
      const chosen = tab.dataset.language === language;
      tab.setAttribute("aria-selected", String(chosen));
      tab.tabIndex = chosen ? 0 : -1;
    }
  }
}

function makeTabs(box) {
  const list = document.createElement("div");
  list.setAttribute("role", "tablist");
  list.className = "sample-tabs";
  for (const sample of box.querySelectorAll("details")) {
    const tab = document.createElement("button");
    const code = sample.querySelector("pre");
    tab.type = "button";
    tab.dataset.language = sample.dataset.language;
    tab.textContent = sample.querySelector("summary").textContent;
    tab.setAttribute("role", "tab");
    sample.removeAttribute("name"); // exclusive disclosures would close one another before we do
    sample.querySelector("summary").hidden = true;
    code.setAttribute("role", "tabpanel");
    list.append(tab);
  }
  list.addEventListener("click", (event) => {
    const tab = event.target.closest("[role=tab]");
    if (!tab) return;
    const before = tab.getBoundingClientRect().top;
    choose(tab.dataset.language);
    remember(tab.dataset.language);
    scrollBy(0, tab.getBoundingClientRect().top - before); // samples above have other lengths now
  });
  list.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const tabs = [...list.children];
    const next = tabs[(tabs.indexOf(document.activeElement) + step + tabs.length) % tabs.length];
    next.focus();
    next.click();
  });
  box.prepend(list);
}

const boxes = document.querySelectorAll("[data-samples]");
boxes.forEach(makeTabs);
if (boxes.length) choose(remembered() ?? "curl");

// On a phone the contents are folded away; a wide window shows them. Until this runs docs.css hides them there, so that
// nothing moves when they are folded.
const menu = document.querySelector(".docs-menu");
if (menu && matchMedia("(max-width: 899px)").matches) menu.open = false;
menu?.setAttribute("data-folded", "");
