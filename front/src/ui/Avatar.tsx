/* A person's picture, or their initials on a colour that is always the same for them. */
import { useClient } from "@tims/client";
import { nameOf, type Person } from "@/types";

const SIZES = { small: "size-7 text-[0.65rem]", medium: "size-10 text-sm", large: "size-24 text-3xl" };

export function initialsOf(name: string): string {
  const words = name
    .trim()
    .split(/[\s._-]+/)
    .filter(Boolean);
  const first = [...(words[0] ?? "?")][0] ?? "?";
  const last =
    words.length > 1 ? ([...(words[words.length - 1] ?? "")][0] ?? "") : ([...(words[0] ?? "")].at(-1) ?? "");
  return (/\d/.test(last) || words.length > 1 ? first + last : first).toUpperCase();
}

/** A hue from 0 to 359 that belongs to the id. */
export function hueOf(id: string): number {
  let hash = 0x811c9dc5; // FNV-1a: similar ids get different hues
  for (const character of id) hash = Math.imul(hash ^ character.charCodeAt(0), 0x01000193) >>> 0;
  return (hash >>> 8) % 360;
}

interface AvatarProps {
  person: Person | undefined;
  size?: keyof typeof SIZES;
}

/** With a dot at its corner while the person is there; say it in words beside, where it matters. */
export function PresentAvatar({ present, ...props }: AvatarProps & { present: boolean }) {
  return (
    <span className="relative inline-flex shrink-0">
      <Avatar {...props} />
      {present && (
        <span
          aria-hidden="true"
          className="bg-success ring-base-100 absolute -end-0.5 -bottom-0.5 size-2.5 rounded-full ring-2"
        />
      )}
    </span>
  );
}

export function Avatar({ person, size = "medium" }: AvatarProps) {
  const { platform } = useClient();
  const shape = `${SIZES[size]} shrink-0 rounded-full`;
  if (person?.avatar)
    return (
      <img src={platform.apiBase + person.avatar} alt="" className={`${shape} bg-base-300 object-cover`} />
    );
  return (
    <span
      aria-hidden="true"
      className={`${shape} inline-flex items-center justify-center font-semibold text-white select-none`}
      style={{ backgroundColor: `oklch(48% 0.095 ${hueOf(person?.id ?? "")})` }}
    >
      {initialsOf(nameOf(person))}
    </span>
  );
}
