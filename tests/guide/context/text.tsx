import { useText } from "@/i18n";

export function Example({ date }: { date: Date }) {
  /* here */
  return null;
}
