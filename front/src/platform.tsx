/* What the app does with the platform it runs on: links lead to pages, the back button closes what is open first, the bar
 * above wears the theme, and pushes of a device go to whoever is signed in there. */
import { useClient, useUser } from "@tims/client";
import { registerPush, startPlatform, usePlatform } from "@tims/client/platform";
import Router from "next/router";
import { useEffect } from "react";
import { onThemeChange } from "@/theme";

/** Whatever the theme's name, it says whether it is dark. */
function shownTheme(): { dark: boolean; colour: string } {
  const style = getComputedStyle(document.documentElement);
  return { dark: /^dark$/.test(style.colorScheme), colour: getComputedStyle(document.body).backgroundColor };
}

function closeDialog(): boolean {
  const open = [...document.querySelectorAll<HTMLDialogElement>("dialog[open]")].at(-1);
  open?.close();
  return open !== undefined;
}

export function PlatformParts() {
  const client = useClient();
  const user = useUser();
  const platform = usePlatform();
  useEffect(() => startPlatform(client, { open: (path) => void Router.push(path) }), [client]);
  useEffect(() => platform?.back.onBack(closeDialog), [platform]);
  useEffect(() => {
    if (!platform) return;
    const follow = () => platform.statusBar.follow(shownTheme());
    const system = matchMedia("(prefers-color-scheme: dark)");
    follow();
    system.addEventListener("change", follow);
    const leave = onThemeChange(follow);
    return () => {
      system.removeEventListener("change", follow);
      leave();
    };
  }, [platform]);
  const userId = user?.id;
  useEffect(() => {
    if (!platform?.push.available || !userId) return;
    void platform.push.state().then((state) => state === "granted" && registerPush(client, platform));
  }, [client, platform, userId]);
  return null;
}
