import { ChatScreen } from "@/chat/ChatScreen";
import { Icon } from "@/ui/Icon";

export default function ChatsPage() {
  return (
    <ChatScreen title="Chats">
      <div className="text-soft flex h-full flex-col items-center justify-center gap-3">
        <Icon name="chats" className="size-14 opacity-60" />
        <p>Choose a chat, or start one.</p>
      </div>
    </ChatScreen>
  );
}
