// The top-up form: chips fill the amount, the units and the button follow it. Without this file chips are links.

const form = document.querySelector("[data-topup]");
if (form) {
  const amount = form.elements.amount;
  const phone = form.elements.phone;
  const units = form.querySelector("[data-units]");
  const ask = form.querySelector("[data-ask]");
  const askWords = form.querySelector("[data-ask-words]")?.textContent;
  const words = form.querySelector("[data-words]").textContent;
  const price = Number(form.dataset.price);
  const plain = ask.textContent;
  const grouped = (number) => String(number).replace(/\B(?=(\d{3})+$)/g, ",");

  const masked = (text) => {
    const digits = text.replace(/\D/g, "").replace(/^(?:254|0)?/, "0");
    return /^0[17]\d{8}$/.test(digits) ? `${digits.slice(0, 4)} •••${digits.slice(-3)}` : "";
  };

  const show = () => {
    const value = /^\d{1,9}$/.test(amount.value) ? Number(amount.value) : 0;
    const bought = value && price ? Math.floor(value / price + 1e-9) : 0;
    units.textContent = bought ? words.replace("%n%", grouped(bought)) : "";
    for (const chip of form.querySelectorAll("[data-amount]")) {
      if (Number(chip.dataset.amount) === value) chip.setAttribute("aria-current", "true");
      else chip.removeAttribute("aria-current");
    }
    const to = masked(phone.value);
    if (!askWords) return;
    const sum = `${form.dataset.currency} ${grouped(value)}`;
    ask.textContent = value && to ? askWords.replace("%amount%", sum).replace("%phone%", to) : plain;
  };

  form.addEventListener("click", (event) => {
    const chip = event.target.closest("[data-amount]");
    if (!chip) return;
    event.preventDefault();
    amount.value = chip.dataset.amount;
    show();
  });
  form.addEventListener("input", show);
  show();
}
