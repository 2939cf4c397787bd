// Swagger UI on the API's own document. What it sends goes with the browser's session: the cookie by itself, and the CSRF
// token from its cookie, as pages' scripts do it.
function csrfToken() {
  const found = document.cookie.match(/(?:^|; )(?:__Host-)?csrf=([^;]*)/);
  return found === null ? null : found[1];
}

const dark = matchMedia("(prefers-color-scheme: dark)");
const dress = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", dress);
dress();

window.SwaggerUIBundle({
  url: "/api/schema.json",
  dom_id: "#api",
  deepLinking: true,
  validatorUrl: null, // it would tell a stranger what is here
  docExpansion: "none",
  requestInterceptor(request) {
    const token = csrfToken();
    if (token !== null && !/^(GET|HEAD|OPTIONS)$/i.test(request.method ?? "GET"))
      request.headers["X-CSRF-Token"] ??= token;
    return request;
  },
});
