import { useSyncExternalStore } from "react";
import { InstallSection } from "@/layout/InstallSection";
import { Layout } from "@/layout/Layout";
import { chooseTheme, currentTheme, DEFAULT_DARK, DEFAULT_LIGHT, onThemeChange, THEMES } from "@/theme";
import { Icon } from "@/ui/Icon";

function titleOf(theme: string): string {
  if (theme === "") return "As the system";
  const words = theme.replaceAll("-", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** The theme's own colours, whatever theme is on: data-theme works on any element. */
function Swatch({ theme, small = false }: { theme: string; small?: boolean }) {
  const colours = ["bg-primary", "bg-accent", ...(small ? [] : ["bg-secondary", "bg-neutral"])];
  return (
    <span
      data-theme={theme}
      className="rounded-field border-base-content/15 bg-base-100 flex h-14 items-center justify-center gap-2 border"
      aria-hidden="true"
    >
      {colours.map((colour) => (
        <span key={colour} className={`${colour} size-4 rounded-full`} />
      ))}
    </span>
  );
}

function ThemeChoice({ theme, chosen }: { theme: string; chosen: boolean }) {
  return (
    <label
      className={`rounded-box has-focus-visible:outline-primary relative flex cursor-pointer flex-col gap-2 border-2 p-2.5 has-focus-visible:outline-2 has-focus-visible:outline-offset-2 ${chosen ? "border-primary" : "hover:border-base-content/25 border-transparent"}`}
    >
      <input
        type="radio"
        name="theme"
        value={theme}
        checked={chosen}
        onChange={() => chooseTheme(theme)}
        className="sr-only"
      />
      {theme === "" ? (
        <span className="grid grid-cols-2 gap-1">
          <Swatch theme={DEFAULT_LIGHT} small />
          <Swatch theme={DEFAULT_DARK} small />
        </span>
      ) : (
        <Swatch theme={theme} />
      )}
      <span className="flex items-center justify-between px-1 text-sm font-medium">
        {titleOf(theme)}
        {chosen && <Icon name="check" className="text-primary size-4" />}
      </span>
    </label>
  );
}

export default function SettingsPage() {
  const chosen = useSyncExternalStore(onThemeChange, currentTheme, () => "");
  return (
    <Layout title="Settings">
      <div className="mx-auto flex max-w-4xl flex-col gap-6">
        <h1 className="text-3xl font-semibold tracking-tight">Settings</h1>
        <fieldset className="surface p-4 md:p-6">
          <legend className="float-left w-full px-2.5 text-lg font-semibold">Theme</legend>
          <p className="text-soft clear-left mb-3 px-2.5 text-sm">Kept in this browser.</p>
          <div className="grid grid-cols-2 gap-1 sm:grid-cols-3 lg:grid-cols-4">
            {["", ...THEMES].map((theme) => (
              <ThemeChoice key={theme} theme={theme} chosen={chosen === theme} />
            ))}
          </div>
        </fieldset>
        <InstallSection />
      </div>
    </Layout>
  );
}
