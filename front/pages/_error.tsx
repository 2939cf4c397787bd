import { useText } from "@/i18n";
import { Plain } from "@/layout/MissingPage";

export default function ErrorPage() {
  const { t } = useText();
  return <Plain code="500" title={t("broken.title")} text={t("broken.text")} />;
}
