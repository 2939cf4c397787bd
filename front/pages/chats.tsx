import { ChatScreen } from "@/chat/ChatScreen";
import { useText } from "@/i18n";
import { Icon } from "@/ui/Icon";

export default function ChatsPage() {
  const { t } = useText();
  return (
    <ChatScreen title={t("chats.title")}>
      <div className="text-soft flex h-full flex-col items-center justify-center gap-3">
        <Icon name="chats" className="size-14 opacity-60" />
        <p>{t("chats.choose")}</p>
      </div>
    </ChatScreen>
  );
}
