// Merge fields of a mail or a template: a chip goes into the field that was written in last, the text where none was.
const FIELDS = "[data-field], #id_subject, #id_preheader, #id_text, #id_html, #id_variants input, #id_variants textarea";
let last = null;

document.addEventListener("focusin", (event) => { if (event.target.matches(FIELDS)) last = event.target; });
document.addEventListener("click", (event) => {
  const chip = event.target.closest("#merge-fields [data-insert]");
  const box = last?.isConnected ? last : document.querySelector("#id_text, [data-field]");
  if (!chip || !box) return;
  box.setRangeText(chip.dataset.insert, box.selectionStart, box.selectionEnd, "end");
  box.focus();
  box.dispatchEvent(new Event("input", { bubbles: true }));
});
