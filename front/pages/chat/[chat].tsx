import { usePageParams } from "@tims/client";
import { useRouter } from "next/router";
import { ChatScreen } from "@/chat/ChatScreen";
import { Conversation } from "@/chat/Conversation";
import { useText } from "@/i18n";

export default function ChatPage() {
  const { t } = useText();
  const { query } = useRouter();
  const params = usePageParams<{ chat: string }>();
  const chat = typeof query.chat === "string" ? query.chat : params.chat;
  const message = typeof query.message === "string" ? query.message : null;
  return (
    <ChatScreen title={t("chat.title")} open={chat ?? ""}>
      {chat && <Conversation key={chat} id={chat} message={message} />}
    </ChatScreen>
  );
}
