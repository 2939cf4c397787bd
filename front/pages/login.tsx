import { SignForm } from "@/account/SignForm";

export default function LoginPage() {
  return <SignForm kind="login" />;
}
