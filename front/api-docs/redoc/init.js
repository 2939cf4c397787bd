// Redoc on the API's own document.
window.Redoc.init("/api/schema.json", { hideHostname: true }, document.getElementById("api"));
