import { useUser } from "@tims/client";
import { useTakeWho } from "@/account/useTakeWho";
import { AutoForm } from "@/form/AutoForm";

export function Example() {
  const user = useUser();
  const takeWho = useTakeWho();
  if (!user) return null;
  return (
    /* here */
  );
}
