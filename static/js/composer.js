// The composer: counts while one types, by the rules of crm/common/text_units.py, and puts merge fields in.
// The server confirms after a pause and its figure wins; without this file the review page has every figure.

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const BASIC = LETTERS + "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./:;<=>?¡ÄÖÑÜ§¿äöñüà";
const EXTENSION = "^{}\\[~]|€\f";
const STANDARD = new Set(BASIC + EXTENSION);
const EXTENDED = new Set(EXTENSION);
const FIELD = /\{ *([\p{L}_](?:[\p{L}\p{N}_ -]*[\p{L}\p{N}_])?) *(?:\|([^{}|\n]*))?\}/gu;

export const MAX_CHARACTERS = 480;

/** The text cut where its units end: {encoding, parts, size, left}; parts.length is what is billed. */
export function layOut(text, rule) {
  const characters = [...text];
  const encoding = characters.every((character) => STANDARD.has(character)) ? "gsm7" : "ucs2";
  const weigh = encoding === "ucs2" ? (character) => character.length
    : (character) => (rule === "segments" && EXTENDED.has(character) ? 2 : 1);
  const single = encoding === "gsm7" ? 160 : 70;
  const size = encoding === "ucs2" ? 67 : rule === "per_160" ? 160 : 153;
  const total = characters.reduce((sum, character) => sum + weigh(character), 0);
  if (total <= single) return { encoding, parts: text ? [text] : [], size: single, left: single - total };
  const parts = [""];
  let used = 0;
  for (const character of characters) {
    const weight = weigh(character);
    if (used + weight > size) {
      parts.push("");
      used = 0;
    }
    parts[parts.length - 1] += character;
    used += weight;
  }
  return { encoding, parts, size, left: size - used };
}

/** The characters outside the standard alphabet with how often they occur, in order of appearance. */
export function forcingUnicode(text) {
  const counts = new Map();
  for (const character of text) {
    if (!STANDARD.has(character)) counts.set(character, (counts.get(character) ?? 0) + 1);
  }
  return [...counts];
}

/** The text for one person; values by field name in lower case, as the server gave them. */
export function fillIn(text, values) {
  return text.replace(FIELD, (whole, name, fallback) => values[name.toLowerCase()] || fallback || "");
}

function show(meter, typed) {
  const values = JSON.parse(meter.dataset.values);
  const costs = JSON.parse(meter.dataset.costs);
  const text = values ? fillIn(typed.normalize("NFC"), values) : typed.normalize("NFC");
  const { encoding, parts, size, left } = layOut(text, meter.dataset.rule);
  const put = (name, words) => { meter.querySelector(`[data-${name}]`).textContent = words; };
  const characters = [...text].length;
  put("characters", characters);
  put("left", left);
  put("units", parts.length);
  put("encoding", meter.dataset[encoding]);
  if (costs.length) put("cost", costs[Math.min(parts.length, costs.length - 1)]);
  meter.querySelector("[data-long]").hidden = characters <= MAX_CHARACTERS;
  const forcing = forcingUnicode(text);
  meter.querySelector("[data-forcing]").hidden = !forcing.length;
  put("forcing-list", forcing.map(([character, count]) => `“${character}” × ${count}`).join(", "));
  const blocks = meter.querySelector("[data-blocks]");
  const wanted = Math.max(parts.length, 1);
  while (blocks.children.length > wanted) blocks.lastElementChild.remove();
  while (blocks.children.length < wanted) blocks.append(blocks.firstElementChild.cloneNode(true));
  [...blocks.children].forEach((block, index) => {
    const bar = block.querySelector("progress");
    bar.max = size;
    bar.value = index < parts.length - 1 ? size : size - left;
  });
}

function insert(box, words) {
  const { selectionStart, selectionEnd } = box;
  box.setRangeText(words, selectionStart, selectionEnd, "end");
  box.focus();
  box.dispatchEvent(new Event("input", { bubbles: true }));
}

function start(box) {
  let sent = null; // the text the server was last asked about
  const count = () => show(document.getElementById("meter"), box.value);
  box.addEventListener("input", count);
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-insert]");
    if (button) insert(box, button.dataset.insert);
  });
  document.addEventListener("htmx:configRequest", (event) => {
    if ("text" in event.detail.parameters) sent = box.value;
  });
  // An answer about an older text must not overwrite the count of what stands there now.
  document.addEventListener("htmx:afterSettle", () => { if (box.value !== sent) count(); });
  count();
}

if (typeof document !== "undefined") {
  const box = document.querySelector("textarea[data-composer]");
  if (box) start(box);
}
