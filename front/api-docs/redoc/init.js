// Redoc on the API's own document. Its colours are made once, so another theme is another load.
const dark = matchMedia("(prefers-color-scheme: dark)");
dark.addEventListener("change", () => location.reload());

const DARK = {
  colors: {
    primary: { main: "#7fb6f2" },
    success: { main: "#6cc48a" },
    error: { main: "#f28b82" },
    text: { primary: "#dfe5ec", secondary: "#9aa7b4" },
    border: { light: "#323b46", dark: "#44505e" },
    gray: { 50: "#1f262e", 100: "#323b46" },
    responses: {
      success: { color: "#6cc48a", backgroundColor: "rgba(108, 196, 138, 0.12)" },
      error: { color: "#f28b82", backgroundColor: "rgba(242, 139, 130, 0.12)" },
    },
  },
  schema: {
    nestedBackground: "#1b2027",
    linesColor: "#44505e",
    typeNameColor: "#9aa7b4",
    requireLabelColor: "#f28b82",
  },
  typography: { code: { color: "#e6a183", backgroundColor: "#1f262e" }, links: { color: "#7fb6f2" } },
  sidebar: { backgroundColor: "#1b2027", textColor: "#dfe5ec", activeTextColor: "#7fb6f2" },
  rightPanel: { backgroundColor: "#0f1317" },
  fab: { backgroundColor: "#323b46", color: "#dfe5ec" },
};

const font = { fontFamily: "system-ui, sans-serif" };
const theme = dark.matches ? DARK : {};
const typography = { ...theme.typography, ...font, headings: font };
window.Redoc.init(
  "/api/schema.json",
  { hideHostname: true, theme: { ...theme, typography } },
  document.getElementById("api"),
);
