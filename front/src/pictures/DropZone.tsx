/* Where pictures are dropped: all of what stands inside. */
import { type DragEvent, type ReactNode, useState } from "react";
import { useText } from "@/i18n";

const hasFiles = (event: DragEvent) => event.dataTransfer.types.includes("Files");

interface DropZoneProps {
  label: string;
  onFiles: (files: File[]) => void;
  children: ReactNode;
}

export function DropZone({ label, onFiles, children }: DropZoneProps) {
  const { t } = useText();
  const [over, setOver] = useState(false);
  return (
    <section
      aria-label={label}
      className="relative flex h-full min-h-0 flex-col"
      onDragOver={(event) => {
        if (!hasFiles(event)) return;
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={(event) => {
        if (!event.currentTarget.contains(event.relatedTarget as Node | null)) setOver(false);
      }}
      onDrop={(event) => {
        if (!hasFiles(event)) return;
        event.preventDefault();
        setOver(false);
        onFiles([...event.dataTransfer.files]);
      }}
    >
      {children}
      {over && (
        <p className="border-primary bg-base-100/90 rounded-box pointer-events-none absolute inset-4 z-10 flex items-center justify-center border-2 border-dashed text-lg font-semibold">
          {t("pictures.drop")}
        </p>
      )}
    </section>
  );
}
