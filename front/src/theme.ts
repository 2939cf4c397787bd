/* Which theme is on: the one chosen in settings, kept in this browser, or the system's choice of the calm pair. */

export const DEFAULT_LIGHT = "calm";
export const DEFAULT_DARK = "calm-dark";

export const THEMES = [
  DEFAULT_LIGHT,
  DEFAULT_DARK,
  ..."light dark cupcake bumblebee emerald corporate synthwave retro cyberpunk valentine halloween garden forest".split(
    " ",
  ),
  ..."aqua lofi pastel fantasy wireframe black luxury dracula cmyk autumn business acid lemonade night".split(
    " ",
  ),
  ..."coffee winter dim nord sunset caramellatte abyss silk".split(" "),
] as const;

export function currentTheme(): string {
  return document.documentElement.dataset.theme ?? "";
}

/** "" follows the system. */
export function chooseTheme(theme: string): void {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  try {
    if (theme) localStorage.setItem("theme", theme);
    else localStorage.removeItem("theme");
  } catch {
    // storage is switched off: it holds until the page is left
  }
  for (const listener of listeners) listener();
}

const listeners = new Set<() => void>();
export function onThemeChange(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
