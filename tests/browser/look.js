// What is measured on an open page; each is called by tests/browser/looking.py and returns plain data.
(() => {
  const shown = (element) => {
    if (!element.checkVisibility({ visibilityProperty: true, opacityProperty: true })) return false;
    const box = element.getBoundingClientRect();
    return box.width > 0 && box.height > 0 && box.right > 0 && box.left < innerWidth + 1;
  };
  const tell = (element) => {
    const words = (element.innerText || element.getAttribute("aria-label") || element.name || "").trim().slice(0, 40);
    const box = element.getBoundingClientRect();
    const name = element.tagName.toLowerCase() + (element.className ? `.${String(element.className).split(" ").join(".")}` : "");
    return `${name} "${words}" ${Math.round(box.width)}×${Math.round(box.height)}`;
  };
  const CONTROLS = "a[href], button, input:not([type=hidden]), select, textarea, summary";
  // A link within a sentence is exempt (WCAG 2.5.8), as is what is seen by screen readers alone.
  const inText = (element) => element.tagName === "A" && getComputedStyle(element).display === "inline";
  const hiddenFromSight = (element) => element.closest(".visually-hidden, .skip") !== null;
  const target = (element) => {
    const box = element.getBoundingClientRect();
    const label = ["checkbox", "radio", "file"].includes(element.type) ? element.labels?.[0] : null;
    if (!label) return [box.width, box.height];
    const around = label.getBoundingClientRect();
    return [Math.max(box.width, around.width), Math.max(box.height, around.height)];
  };

  const sideways = () => {
    const root = document.documentElement;
    if (root.scrollWidth <= innerWidth) return [];
    const clipped = (element) => {
      for (let up = element.parentElement; up && up !== document.body; up = up.parentElement) {
        if (["auto", "scroll", "hidden", "clip"].includes(getComputedStyle(up).overflowX)) return true;
      }
      return false;
    };
    const wide = [...document.body.querySelectorAll("*")].filter((element) => (
      element.getBoundingClientRect().right > innerWidth + 1 && !clipped(element)));
    return [`${root.scrollWidth} px wide`, ...wide.slice(-4).map(tell)];
  };

  const small = () => {
    const found = [];
    for (const element of document.querySelectorAll(CONTROLS)) {
      if (!shown(element) || inText(element) || hiddenFromSight(element)) continue;
      const large = element.closest("nav.bottom") !== null || element.matches(".btn-primary:not(.btn-small)");
      const [width, height] = target(element);
      const least = large ? 44 : 24;
      if (width < least - 0.5 || height < least - 0.5) found.push(`${tell(element)} < ${least}`);
    }
    return found;
  };

  // Tabs through the page by script: what has the focus must not lie under a bar that sticks to the window.
  const covered = () => {
    const found = [];
    const bars = [...document.querySelectorAll("body *")].filter((element) => (
      ["fixed", "sticky"].includes(getComputedStyle(element).position) && shown(element)));
    scrollTo(0, 0);
    for (const element of document.querySelectorAll(CONTROLS)) {
      if (!shown(element) || element.disabled || hiddenFromSight(element) || element.tabIndex < 0) continue;
      element.focus();
      if (document.activeElement !== element) continue;
      const box = element.getBoundingClientRect();
      const over = bars.find((bar) => {
        if (bar.contains(element) || element.contains(bar)) return false;
        const own = bar.getBoundingClientRect();
        return box.top >= own.top - 0.5 && box.bottom <= own.bottom + 0.5 && box.left >= own.left - 0.5
          && box.right <= own.right + 0.5;
      });
      if (over) found.push(`${tell(element)} under ${tell(over)}`);
    }
    document.activeElement?.blur();
    scrollTo(0, 0);
    return found;
  };

  const weight = () => {
    const parts = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
    return {
      bytes: parts.reduce((sum, part) => sum + part.encodedBodySize, 0),
      names: parts.map((part) => `${part.encodedBodySize} ${new URL(part.name).pathname}`),
    };
  };

  const shift = () => new Promise((done) => {
    let sum = 0;
    const seen = new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) if (!entry.hadRecentInput) sum += entry.value;
    });
    seen.observe({ type: "layout-shift", buffered: true });
    setTimeout(() => { seen.disconnect(); done(sum); }, 0);
  });

  const words = () => {
    const found = [];
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walk.nextNode(); node; node = walk.nextNode()) {
      const parent = node.parentElement;
      if (parent.closest("script, style, template, code, pre, kbd, textarea, bdi, [lang]:not(html), [translate=no]")) continue;
      const text = node.data.replace(/\s+/g, " ").trim();
      if (text) found.push(text);
    }
    for (const element of document.body.querySelectorAll("[aria-label], [title], [placeholder], [alt]")) {
      if (element.closest("template, [translate=no]")) continue;
      for (const name of ["aria-label", "title", "placeholder", "alt"]) {
        const text = (element.getAttribute(name) || "").trim();
        if (text) found.push(text);
      }
    }
    return [...new Set([document.title, ...found])];
  };

  // what: "all"; "names", without the rule that takes longest, for a page whose colours were looked at in another
  // language; "colours", that rule alone, for one whose names were. Half of the time went to "region", which is moderate.
  const axe = async (what = "all") => {
    const options = { resultTypes: ["violations"], preload: false, elementRef: false };
    if (what === "colours") options.runOnly = { type: "rule", values: ["color-contrast"] };
    else options.rules = { region: { enabled: false }, "color-contrast": { enabled: what === "all" } };
    const { violations } = await window.axe.run(document, options);
    const grave = violations.filter((each) => ["serious", "critical"].includes(each.impact));
    return grave.flatMap((each) => each.nodes.slice(0, 3).map((node) => (
      `${each.id}: ${node.target.join(" ")}: ${node.any[0]?.message ?? each.help}`)));
  };

  // After a change of colours or width: transitions have a moment even where they are switched off.
  const settle = async () => {
    await new Promise((done) => { requestAnimationFrame(() => requestAnimationFrame(done)); });
    await Promise.all(document.getAnimations().map((each) => each.finished.catch(() => null)));
  };

  window.looking = { settle, sideways, small, covered, weight, shift, words, axe };
})();
