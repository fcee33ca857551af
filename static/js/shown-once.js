// <form data-shown-once>: leaving the page asks first until its box is ticked. Browsers show their own sentence.

const form = document.querySelector("[data-shown-once]");

addEventListener("beforeunload", (event) => {
  if (form && !form.querySelector("input[type=checkbox]").checked && !leaving) event.preventDefault();
});

// The file is a form of its own: its answer does not replace the page.
let leaving = false;
document.addEventListener("submit", () => {
  leaving = true;
  setTimeout(() => { leaving = false; }, 1000);
});
