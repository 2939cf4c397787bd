// Runs before the first paint: the chosen theme, or none, which follows the system; the writing direction; and in an
// exported shell, which is in English, whether its texts are to wait for another language (src/i18n/kept.ts).
(() => {
  const root = document.documentElement;
  let language = /(?:^|; )language=([\w-]+)/.exec(document.cookie)?.[1];
  try {
    const theme = localStorage.getItem("theme");
    if (theme && /^[a-z-]{1,24}$/.test(theme)) root.dataset.theme = theme;
    if (localStorage.getItem("direction") === "rtl") root.dir = "rtl";
    language ??= localStorage.getItem("language") ?? undefined;
  } catch {
    // storage is switched off: the system's theme it is
  }
  if (root.dataset.shell === undefined || (language ?? navigator.language).startsWith(root.lang)) return;
  root.dataset.waiting = "";
  setTimeout(() => delete root.dataset.waiting, 3000); // should the scripts not come
})();
