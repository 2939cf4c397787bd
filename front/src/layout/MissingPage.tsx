import Link from "next/link";
import { Layout } from "./Layout";

export function Plain({ code, title, text }: { code: string; title: string; text: string }) {
  return (
    <Layout title={title}>
      <div className="mx-auto flex max-w-md flex-col items-center gap-4 py-16 text-center">
        <p className="text-primary text-7xl font-bold tracking-tighter" aria-hidden="true">
          {code}
        </p>
        <h1 className="text-2xl font-semibold">{title}</h1>
        <p className="text-soft">{text}</p>
        <Link href="/" className="btn btn-primary mt-2">
          Go to the start
        </Link>
      </div>
    </Layout>
  );
}

export function MissingPage() {
  return (
    <Plain
      code="404"
      title="There is nothing here"
      text="The address is wrong, what was here is gone, or it is not yours to see."
    />
  );
}
