/* Texts and languages: `const { t, format } = useText()`, then t("chat.send"). One way for all words of the app; for the
 * server's problems it is useProblemText(). */
import { createContext, type ReactNode, useCallback, useContext, useEffect, useMemo, useState } from "react";
import {
  type Direction,
  keepDirection,
  keepLanguage,
  keptDirection,
  keptLanguage,
  markDocument,
} from "./kept";
import { DEFAULT_LANGUAGE, type Language, languageOf } from "./languages";
import { DICTIONARIES, loadTexting, textingOf } from "./load";
import type { Texting } from "./texts";

export type { Direction } from "./kept";
export { LANGUAGES, type Language, languageOf } from "./languages";
export { useProblemText } from "./problems";
export type { Format, Key, PlainKey, Texting, Translate } from "./texts";

interface LanguageChoice {
  language: Language;
  direction: Direction;
  /** Without a reload; kept for the next visit. Rejects when the texts cannot be loaded. */
  chooseLanguage: (language: Language) => Promise<void>;
  chooseDirection: (direction: Direction) => void;
}

const TextingContext = createContext<Texting | null>(null);
const ChoiceContext = createContext<LanguageChoice | null>(null);

interface LanguageProviderProps {
  /** What the page was rendered in; null in an exported shell, which then finds out by itself. */
  rendered: string | null;
  children: ReactNode;
}

export function LanguageProvider({ rendered, children }: LanguageProviderProps) {
  const [language, setLanguage] = useState<Language>(() => languageOf(rendered) ?? DEFAULT_LANGUAGE);
  const [direction, setDirection] = useState<Direction>("auto");
  const isShell = rendered === null;
  useEffect(() => setDirection(keptDirection()), []);
  useEffect(() => {
    if (!isShell) return;
    const wanted = keptLanguage();
    loadTexting(wanted).then(
      () => setLanguage(wanted),
      () => markDocument(DEFAULT_LANGUAGE, keptDirection()), // English is better than nothing
    );
  }, [isShell]);
  const chooseLanguage = useCallback(async (chosen: Language) => {
    await loadTexting(chosen);
    keepLanguage(chosen);
    setLanguage(chosen);
    markDocument(chosen, keptDirection());
  }, []);
  const chooseDirection = useCallback(
    (chosen: Direction) => {
      keepDirection(chosen);
      setDirection(chosen);
      markDocument(language, chosen);
    },
    [language],
  );
  useEffect(() => {
    if (!isShell || language === keptLanguage()) markDocument(language, keptDirection());
  }, [isShell, language]);
  const choice = useMemo(
    () => ({ language, direction, chooseLanguage, chooseDirection }),
    [language, direction, chooseLanguage, chooseDirection],
  );
  const Dictionary = DICTIONARIES[language];
  return (
    <ChoiceContext.Provider value={choice}>
      <Dictionary />
      <TextingContext.Provider value={textingOf(language) ?? null}>{children}</TextingContext.Provider>
    </ChoiceContext.Provider>
  );
}

/** The words of the language in use, and how it writes numbers and times. */
export function useText(): Texting {
  const texting = useContext(TextingContext);
  if (!texting) throw new Error("The texts are not loaded: wrap the app in <LanguageProvider>.");
  return texting;
}

export function useLanguage(): LanguageChoice {
  const choice = useContext(ChoiceContext);
  if (!choice) throw new Error("Wrap the app in <LanguageProvider>.");
  return choice;
}
