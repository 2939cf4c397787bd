import { SignForm } from "@/account/SignForm";

export default function RegisterPage() {
  return <SignForm kind="register" />;
}
