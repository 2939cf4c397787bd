// The documentation site's own script: the theme (the system's, or what was chosen) and, on phones, the navigation.
const root = document.documentElement;
const system = window.matchMedia("(prefers-color-scheme: dark)");

function chosen() {
  try {
    return localStorage.getItem("theme");
  } catch {
    return null; // no storage: the system's
  }
}

function show() {
  root.dataset.theme = chosen() ?? (system.matches ? "dark" : "light");
}

function button(id, label, text, press) {
  const element = document.createElement("button");
  element.id = id;
  element.type = "button";
  element.textContent = text;
  element.setAttribute("aria-label", label);
  element.addEventListener("click", press);
  document.body.append(element);
}

function turn() {
  const next = root.dataset.theme === "dark" ? "light" : "dark";
  try {
    localStorage.setItem("theme", next);
    show();
  } catch {
    root.dataset.theme = next;
  }
}

show();
system.addEventListener("change", show);
document.addEventListener("DOMContentLoaded", () => {
  button("theme", "Light or dark", "◐", turn);
  button("menu", "All pages", "☰ Pages", () => root.toggleAttribute("data-menu"));
  document.getElementById("side-nav")?.addEventListener("click", ({ target }) => {
    if (target instanceof Element && target.closest(".label a")) root.removeAttribute("data-menu");
  });
});
