// A button that may be pressed again after a while counts the seconds down. Without this file it is simply there.
for (const button of document.querySelectorAll("[data-wait]")) {
  const words = button.textContent;
  const until = Date.now() + Number(button.dataset.wait) * 1000;
  const tick = () => {
    const seconds = Math.ceil((until - Date.now()) / 1000);
    button.disabled = seconds > 0;
    button.textContent = seconds > 0 ? button.dataset.waitWords.replace("{seconds}", seconds) : words;
    if (seconds > 0) setTimeout(tick, 1000);
  };
  tick();
}
