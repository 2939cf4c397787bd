import Link from "next/link";
import { useText } from "@/i18n";
import { Layout } from "./Layout";

export function Plain({ code, title, text }: { code: string; title: string; text: string }) {
  const { t } = useText();
  return (
    <Layout title={title}>
      <div className="mx-auto flex max-w-md flex-col items-center gap-4 py-16 text-center">
        <p className="text-primary text-7xl font-bold tracking-tighter" aria-hidden="true">
          {code}
        </p>
        <h1 className="text-2xl font-semibold">{title}</h1>
        <p className="text-soft">{text}</p>
        <Link href="/" className="btn btn-primary mt-2">
          {t("plain.start")}
        </Link>
      </div>
    </Layout>
  );
}

export function MissingPage() {
  const { t } = useText();
  return <Plain code="404" title={t("missing.title")} text={t("missing.text")} />;
}
