// Opens the interactive page of the API, when it is asked for: it weighs three times what any other page may.
// Nothing is loaded from elsewhere, and no validator is asked.

const place = document.getElementById("swagger");
const button = document.getElementById("swagger-open");

function open() {
  button.remove();
  document.head.append(Object.assign(document.createElement("link"), { rel: "stylesheet", href: place.dataset.style }));
  const script = Object.assign(document.createElement("script"), { src: place.dataset.script });
  script.addEventListener("load", () => {
    window.SwaggerUIBundle({
      url: place.dataset.schema,
      domNode: place,
      deepLinking: false, // its links lie inside buttons
      onComplete: () => {
        new MutationObserver(nameAll).observe(place, { childList: true, subtree: true });
        nameAll();
      },
      docExpansion: "none",
      filter: true,
      defaultModelsExpandDepth: -1,
      validatorUrl: null,
      persistAuthorization: false,
    });
  });
  document.head.append(script);
}

// What the library leaves without a name or out of reach of the keyboard.
function nameAll() {
  for (const field of place.querySelectorAll("select:not([aria-label]), textarea:not([aria-label])")) {
    const own = field.localName === "select" ? place.dataset.choose : place.dataset.request;
    field.setAttribute("aria-label", field.closest("tr[data-param-name]")?.dataset.paramName ?? own);
  }
  for (const close of place.querySelectorAll(".close-modal:not([aria-label])")) {
    close.setAttribute("aria-label", place.dataset.close);
  }
  // Its name would be another than what stands on it.
  for (const apply of place.querySelectorAll(".auth-btn-wrapper .authorize[aria-label]")) apply.removeAttribute("aria-label");
  for (const code of place.querySelectorAll(".microlight:not([tabindex])")) code.tabIndex = 0;
}

button.addEventListener("click", open);
