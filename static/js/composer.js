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

/** Whether every character of `text` is of the standard alphabet. */
export function isStandard(text) {
  return [...text].every((character) => STANDARD.has(character));
}

// Plain letters: the table of crm/common/plain_letters.py.
const TWINS = {
  "’": "'", "‘": "'", "‚": "'", "‛": "'", "′": "'", "`": "'", "´": "'", "ʼ": "'",
  "“": '"', "”": '"', "„": '"', "‟": '"', "″": '"', "«": '"', "»": '"', "‹": "'", "›": "'",
  "–": "-", "—": "-", "―": "-", "‐": "-", "‑": "-", "‒": "-", "−": "-", "•": "-", "·": ".",
  "…": "...", "œ": "oe", "Œ": "OE", "ı": "i", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ŋ": "ng", "Ŋ": "Ng",
  "ɓ": "b", "ɗ": "d", "ƙ": "k", "ƴ": "y", "×": "x", "÷": "/", "©": "(c)", "®": "(r)", "™": "(tm)", "№": "No",
  "½": "1/2", "¼": "1/4", "¾": "3/4", "°": "o", "º": "o", "ª": "a", "\t": " ",
};
const SPACES = /[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]/u;
const INVISIBLE = /[\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2063\u2066-\u2069\ufeff]/u;
const ACCENTS = /[\u0300-\u036f]/gu;

/** What a character outside the alphabet becomes, "" where it shows nothing; null where nothing stands in for it. */
export function plainLetter(character) {
  if (character in TWINS) return TWINS[character];
  if (SPACES.test(character)) return " ";
  if (INVISIBLE.test(character)) return "";
  const bare = character.normalize("NFD").replace(ACCENTS, "");
  return bare !== character && isStandard(bare) ? bare : null;
}

/** The text in the standard alphabet as far as that goes; with removeOthers, emoji and other scripts are left out.
 *  Merge fields stay as they are: their names are those of columns. */
export function usePlainLetters(text, removeOthers = false) {
  const change = (words) => [...words].map((character) => (STANDARD.has(character) ? character
    : plainLetter(character) ?? (removeOthers ? "" : character))).join("");
  let plain = "";
  let end = 0;
  for (const field of text.matchAll(FIELD)) {
    plain += change(text.slice(end, field.index)) + field[0];
    end = field.index + field[0].length;
  }
  return plain + change(text.slice(end));
}

/** The text for one person; values by field name in lower case, as the server gave them. */
export function fillIn(text, values) {
  return text.replace(FIELD, (whole, name, fallback) => values[name.toLowerCase()] || fallback || "");
}

// Names of the characters that keyboards and pasted texts bring most; others show their number until the server answers.
const NAMES = {
  "’": "right single quotation mark", "‘": "left single quotation mark", "“": "left double quotation mark",
  "”": "right double quotation mark", "«": "left-pointing double angle quotation mark",
  "»": "right-pointing double angle quotation mark", "–": "en dash", "—": "em dash", "…": "horizontal ellipsis",
  "•": "bullet", "`": "grave accent", "´": "acute accent", "\t": "tab", "\u00a0": "no-break space",
  "\u202f": "narrow no-break space", "\u200b": "zero width space", "ç": "latin small letter c with cedilla",
  "ê": "latin small letter e with circumflex", "ë": "latin small letter e with diaeresis",
  "î": "latin small letter i with circumflex", "ï": "latin small letter i with diaeresis",
  "ô": "latin small letter o with circumflex", "û": "latin small letter u with circumflex",
  "â": "latin small letter a with circumflex", "á": "latin small letter a with acute",
  "í": "latin small letter i with acute", "ó": "latin small letter o with acute", "ú": "latin small letter u with acute",
  "œ": "latin small ligature oe", "Œ": "latin capital ligature oe", "À": "latin capital letter a with grave",
  "È": "latin capital letter e with grave", "Ê": "latin capital letter e with circumflex",
};

// The names above are English. Elsewhere the server's are kept: they came with the page, or with its last answer.
const inEnglish = typeof document === "undefined" || document.documentElement.lang.startsWith("en");
const heard = new Map();
function hear(meter) {
  for (const told of meter.querySelectorAll("[data-letter]")) heard.set(told.dataset.letter, told.textContent);
}

export function nameOf(character) {
  return heard.get(character) ?? (inEnglish ? NAMES[character] : undefined) ?? `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
}

function show(meter, typed) {
  hear(meter);
  const values = JSON.parse(meter.dataset.values);
  const costs = JSON.parse(meter.dataset.costs);
  const filled = values ? fillIn(typed.normalize("NFC"), values) : typed.normalize("NFC");
  const text = filled.trim() ? filled + (meter.dataset.ending ?? "") : filled;
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
  const own = forcingUnicode(typed.normalize("NFC")).map(([character]) => character);
  const twins = own.filter((character) => plainLetter(character) !== null);
  const shown = twins.map((character) => `${character.trim() || "␣"} → ${plainLetter(character) || "–"}`);
  meter.querySelector("[data-plain]").hidden = !twins.length;
  put("plain-list", shown.join("  "));
  meter.querySelector("[data-remove]").hidden = own.length === twins.length;
  put("forcing-list", forcing.map(([character, count]) => `“${character}” ${nameOf(character)} × ${count}`).join(", "));
  const extra = forcing.length ? parts.length - layOut(usePlainLetters(text, true), meter.dataset.rule).parts.length : 0;
  const told = meter.querySelector("[data-extra]").dataset;
  put("extra", extra <= 0 ? "" : ` ${extra === 1 ? told.one : told.many.replace("{n}", extra)}`);
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

/** Put another text into the box; what stood there comes back by Undo, to the letter. */
function exchange(box, text) {
  const undo = (box.closest("[data-composed]") ?? document).querySelector("[data-undo]");
  // Two changes in a row are undone together: back to what the person wrote.
  if (undo.hidden || undo.dataset.made !== box.value) undo.dataset.text = box.value;
  undo.dataset.made = text;
  undo.hidden = false;
  setText(box, text);
}

function setText(box, text) {
  box.value = text;
  box.focus();
  box.dispatchEvent(new Event("input", { bubbles: true }));
}

// A page has one box, or one for each language. htmx may put others in their place, so they are looked up whenever
// something happens. What stands beside a box in [data-composed] is about it; what stands elsewhere is about `last`.
const BOX = "textarea[data-composer]";
const boxes = () => [...document.querySelectorAll(BOX)];
const sent = new Map(); // by name of the box, the text the server was last asked about
let last = ""; // id of the box that was written in last

const theBox = (button) => button.closest("[data-composed]")?.querySelector(BOX)
  ?? document.querySelector(`${BOX}[id="${last}"]`) ?? document.querySelector(BOX);

function count(box) {
  show(document.getElementById(box.dataset.meter ?? "meter"), box.value);
}

function act(button, box) {
  const text = box.value.normalize("NFC");
  if ("insert" in button.dataset) insert(box, button.dataset.insert);
  else if ("plain" in button.dataset) exchange(box, usePlainLetters(text));
  else if ("remove" in button.dataset) exchange(box, usePlainLetters(text, true));
  else if ("clear" in button.dataset) exchange(box, "");
  else {
    button.hidden = true;
    setText(box, button.dataset.text);
  }
}

function start() {
  document.addEventListener("focusin", (event) => { if (event.target.matches(BOX)) last = event.target.id; });
  document.addEventListener("input", (event) => { if (event.target.matches(BOX)) count(event.target); });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-insert], [data-plain], [data-remove], [data-clear], [data-undo]");
    const box = button && theBox(button);
    if (box) act(button, box);
  });
  document.addEventListener("htmx:configRequest", (event) => {
    for (const box of boxes()) if (box.name in event.detail.parameters) sent.set(box.name, box.value);
  });
  // An answer about an older text must not overwrite the count of what stands there now.
  document.addEventListener("htmx:afterSettle", () => {
    for (const box of boxes()) if (box.value !== sent.get(box.name)) count(box);
  });
  boxes().forEach(count);
}

if (typeof document !== "undefined" && boxes().length) start();
