/* In the settings: how to install the app. Not there when it is installed or cannot be. */
import { useText } from "@/i18n";
import { install, useInstallWay } from "@/pwa/install";

export function InstallSection() {
  const { t } = useText();
  const way = useInstallWay();
  if (way === null) return null;
  return (
    <section className="surface flex flex-col items-start gap-3 p-6" aria-labelledby="install">
      <h2 id="install" className="text-lg font-semibold">
        {t("install.title")}
      </h2>
      <p className="text-soft">{t(way === "ios" ? "install.ios" : "install.text")}</p>
      {way === "browser" && (
        <button type="button" className="btn btn-primary" onClick={() => void install()}>
          {t("install.do")}
        </button>
      )}
    </section>
  );
}
