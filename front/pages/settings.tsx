import { useUser } from "@tims/client";
import { useState, useSyncExternalStore } from "react";
import { useTakeWho } from "@/account/useTakeWho";
import { AutoForm } from "@/form/AutoForm";
import { type Direction, LANGUAGES, type Language, useLanguage, useText } from "@/i18n";
import { InstallSection } from "@/layout/InstallSection";
import { Layout } from "@/layout/Layout";
import { DeveloperSection, NotificationSection } from "@/settings/DeviceSections";
import { chooseTheme, currentTheme, DEFAULT_DARK, DEFAULT_LIGHT, onThemeChange, THEMES } from "@/theme";
import { FormError } from "@/ui/Field";
import { Icon } from "@/ui/Icon";

function nameOfTheme(theme: string): string {
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
  const { t } = useText();
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
        {theme === "" ? t("settings.theme_system") : nameOfTheme(theme)}
        {chosen && <Icon name="check" className="text-primary size-4" />}
      </span>
    </label>
  );
}

interface ChoicesProps<T extends string> {
  legend: string;
  hint: string;
  name: string;
  choices: Record<T, string>;
  chosen: T;
  /** Each choice is written in its own language. */
  foreign?: boolean;
  onChoose: (choice: T) => void;
}

/** A few choices side by side. */
function Choices<T extends string>({
  legend,
  hint,
  name,
  choices,
  chosen,
  foreign,
  onChoose,
}: ChoicesProps<T>) {
  return (
    <fieldset className="min-w-0">
      <legend className="text-lg font-semibold">{legend}</legend>
      <p className="text-soft mb-3 text-sm">{hint}</p>
      <div className="flex flex-wrap gap-2">
        {(Object.keys(choices) as T[]).map((choice) => (
          <label
            key={choice}
            lang={foreign ? choice : undefined}
            className={`btn has-focus-visible:outline-primary has-focus-visible:outline-2 has-focus-visible:outline-offset-2 ${choice === chosen ? "btn-primary" : "btn-outline border-base-content/20"}`}
          >
            <input
              type="radio"
              name={name}
              value={choice}
              checked={choice === chosen}
              onChange={() => onChoose(choice)}
              className="sr-only"
            />
            {choices[choice]}
          </label>
        ))}
      </div>
    </fieldset>
  );
}

const languageNames = Object.fromEntries(
  Object.entries(LANGUAGES).map(([language, { name }]) => [language, name]),
) as Record<Language, string>;

function LanguageSettings() {
  const { t } = useText();
  const { language, direction, chooseLanguage, chooseDirection } = useLanguage();
  const [failed, setFailed] = useState(false);
  const choose = (chosen: Language) =>
    chooseLanguage(chosen).then(
      () => setFailed(false),
      () => setFailed(true),
    );
  const directions: Record<Direction, string> = {
    auto: t("settings.direction_auto"),
    rtl: t("settings.direction_rtl"),
  };
  return (
    <section className="surface grid gap-6 p-6 md:grid-cols-2">
      <div>
        <Choices
          legend={t("settings.language")}
          hint={t("settings.language_hint")}
          name="language"
          choices={languageNames}
          chosen={language}
          foreign
          onChoose={(chosen) => void choose(chosen)}
        />
        <div className="empty:hidden mt-3">
          <FormError>{failed ? t("problem.unreachable") : null}</FormError>
        </div>
      </div>
      <Choices
        legend={t("settings.direction")}
        hint={t("settings.kept")}
        name="direction"
        choices={directions}
        chosen={direction}
        onChoose={chooseDirection}
      />
    </section>
  );
}

function AccountSection() {
  const { t } = useText();
  const user = useUser();
  const take = useTakeWho();
  if (!user) return null;
  return (
    <section className="surface flex flex-col gap-4 p-6" aria-labelledby="account">
      <h2 id="account" className="text-lg font-semibold">
        {t("settings.account")}
      </h2>
      <div className="max-w-xl">
        <AutoForm
          operation="updateMe"
          only={["email"]}
          values={user}
          inputs={{ email: { autoComplete: "email" } }}
          onDone={take}
        />
      </div>
    </section>
  );
}

export default function SettingsPage() {
  const { t } = useText();
  const chosen = useSyncExternalStore(onThemeChange, currentTheme, () => "");
  return (
    <Layout title={t("nav.settings")}>
      <div className="mx-auto flex max-w-4xl flex-col gap-6">
        <h1 className="text-3xl font-semibold tracking-tight">{t("nav.settings")}</h1>
        <AccountSection />
        <LanguageSettings />
        <fieldset className="surface p-4 md:p-6">
          <legend className="float-start w-full px-2.5 text-lg font-semibold">{t("settings.theme")}</legend>
          <p className="text-soft clear-both mb-3 px-2.5 text-sm">{t("settings.kept")}</p>
          <div className="grid grid-cols-2 gap-1 sm:grid-cols-3 lg:grid-cols-4">
            {["", ...THEMES].map((theme) => (
              <ThemeChoice key={theme} theme={theme} chosen={chosen === theme} />
            ))}
          </div>
        </fieldset>
        <NotificationSection />
        <InstallSection />
        <DeveloperSection />
      </div>
    </Layout>
  );
}
