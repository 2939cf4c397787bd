import { usePageParams } from "@tims/client";
import { useRouter } from "next/router";
import { ChatScreen } from "@/chat/ChatScreen";
import { Conversation } from "@/chat/Conversation";

export default function ChatPage() {
  const { query } = useRouter();
  const params = usePageParams<{ chat: string }>();
  const chat = typeof query.chat === "string" ? query.chat : params.chat;
  return (
    <ChatScreen title="Chat" open={chat ?? ""}>
      {chat && <Conversation key={chat} id={chat} />}
    </ChatScreen>
  );
}
