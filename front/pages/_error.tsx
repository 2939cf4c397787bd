import { Plain } from "@/layout/MissingPage";

export default function ErrorPage() {
  return <Plain code="500" title="Something went wrong" text="It has been logged. Try again in a moment." />;
}
