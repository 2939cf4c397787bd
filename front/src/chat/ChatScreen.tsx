/* The list beside a conversation; on phones one of the two. */
import type { ReactNode } from "react";
import { Layout } from "@/layout/Layout";
import { ChatList } from "./ChatList";

export function ChatScreen({
  title,
  open,
  children,
}: {
  title: string;
  open?: string | undefined;
  children: ReactNode;
}) {
  const inside = open !== undefined;
  return (
    <Layout title={title} fill bare={inside}>
      <div className="mx-auto grid h-full max-w-6xl grid-cols-1 md:grid-cols-[20rem_minmax(0,1fr)] xl:border-x border-base-content/8">
        <div className={`border-base-content/8 min-h-0 md:border-e ${inside ? "max-md:hidden" : ""}`}>
          <ChatList open={open} />
        </div>
        <div className={`min-h-0 ${inside ? "" : "max-md:hidden"}`}>{children}</div>
      </div>
    </Layout>
  );
}
