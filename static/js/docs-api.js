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
      deepLinking: true,
      docExpansion: "none",
      filter: true,
      defaultModelsExpandDepth: -1,
      validatorUrl: null,
      persistAuthorization: false,
    });
  });
  document.head.append(script);
}

button.addEventListener("click", open);
if (location.hash.length > 1) open(); // a link to one call
