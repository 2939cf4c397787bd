import { useConnectionTruth } from "@tims/client";

export function Example() {
  /* here */
  return null;
}
