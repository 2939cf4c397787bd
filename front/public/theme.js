// Runs before the first paint: the chosen theme, or none, which follows the system.
(() => {
  try {
    const theme = localStorage.getItem("theme");
    if (theme && /^[a-z-]{1,24}$/.test(theme)) document.documentElement.dataset.theme = theme;
  } catch {
    // storage is switched off: the system's theme it is
  }
})();
