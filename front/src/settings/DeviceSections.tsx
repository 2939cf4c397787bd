/* In the settings of a device: whether it is notified, and for developers, which backend it asks. */
import { useClient, useUser } from "@tims/client";
import { API_KEY, registerPush, usePlatform } from "@tims/client/platform";
import { type FormEvent, useEffect, useState } from "react";
import { useText } from "@/i18n";
import { Field } from "@/ui/Field";

export function NotificationSection() {
  const { t } = useText();
  const client = useClient();
  const user = useUser();
  const platform = usePlatform();
  const [state, setState] = useState<"unknown" | "on" | "off" | "denied" | "failed">("unknown");
  useEffect(() => {
    if (!platform?.push.available) return;
    void platform.push
      .state()
      .then((found) => setState(found === "granted" ? "on" : found === "denied" ? "denied" : "off"));
  }, [platform]);
  if (!platform?.push.available || !user) return null;
  async function switchOn() {
    if (!platform) return;
    const isOn = await registerPush(client, platform);
    const found = await platform.push.state();
    setState(isOn ? "on" : found === "denied" ? "denied" : "failed");
  }
  return (
    <section className="surface flex flex-col items-start gap-3 p-6" aria-labelledby="notifications">
      <h2 id="notifications" className="text-lg font-semibold">
        {t("device.notifications")}
      </h2>
      <p className="text-soft" role="status">
        {state === "unknown" ? "" : t(`device.notifications_${state}`)}
      </p>
      {(state === "off" || state === "failed") && (
        <button type="button" className="btn btn-primary" onClick={() => void switchOn()}>
          {t("device.notify")}
        </button>
      )}
    </section>
  );
}

/** Only in builds for developers (DEVELOPMENT=true make native). */
export function DeveloperSection() {
  const { t } = useText();
  const client = useClient();
  const platform = usePlatform();
  if (!platform?.native || !platform.config.development) return null;
  const { api, apis = {} } = platform.config;
  async function use(address: string | null) {
    await client.platform.token.set(null); // it is another backend's
    if (address) localStorage.setItem(API_KEY, address);
    else localStorage.removeItem(API_KEY);
    window.location.assign("/");
  }
  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const address = String(new FormData(event.currentTarget).get("api") ?? "").trim();
    if (/^https?:\/\/[^/\s]+$/.test(address)) void use(address);
  }
  return (
    <section className="surface flex flex-col gap-4 p-6" aria-labelledby="developer">
      <h2 id="developer" className="text-lg font-semibold">
        {t("device.developer")}
      </h2>
      <form onSubmit={submit} className="flex flex-col gap-4">
        <Field
          label={t("device.api")}
          name="api"
          type="url"
          required
          pattern="https?://[^/\s]+"
          defaultValue={platform.apiBase}
          hint={t("device.api_hint")}
        />
        <div className="flex flex-wrap gap-3">
          <button type="submit" className="btn btn-primary">
            {t("device.use")}
          </button>
          <button type="button" className="btn" onClick={() => void use(null)}>
            {t("device.use_default", { address: api })}
          </button>
          {Object.entries(apis).map(([name, address]) => (
            <button key={name} type="button" className="btn" onClick={() => void use(address)}>
              {name}
            </button>
          ))}
        </div>
      </form>
    </section>
  );
}
