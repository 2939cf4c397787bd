import { describe, expect, it } from "vitest";
import { safeNext } from "@/account/SignForm";
import { de } from "@/i18n/de";
import { en } from "@/i18n/en";
import { makeTexting } from "@/i18n/texts";
import { hueOf, initialsOf } from "@/ui/Avatar";
import { dayKey, dayLabel } from "@/ui/Time";

describe("safeNext", () => {
  it.each([
    ["/chat/1?x=y", "/chat/1?x=y"],
    ["/", "/"],
    ["//other.site", "/chats"],
    ["/\\other.site", "/chats"],
    ["https://other.site", "/chats"],
    ["javascript:alert(1)", "/chats"],
    ["", "/chats"],
    [undefined, "/chats"],
    [["/a", "/b"], "/chats"],
  ])("%j leads to %s", (next, path) => {
    expect(safeNext(next)).toBe(path);
  });
});

describe("initialsOf", () => {
  it.each([
    ["Anna Bergström", "AB"],
    ["maria.schmidt", "MS"],
    ["demo", "D"],
    ["testUser7", "T7"],
    ["", "?"],
    ["  ", "?"],
    ["Élodie", "É"],
  ])("%j is %s", (name, initials) => {
    expect(initialsOf(name)).toBe(initials);
  });
});

describe("hueOf", () => {
  it("is the same for the same id, and spread for similar ones", () => {
    const ids = Array.from({ length: 12 }, (_, i) => `01a20a76-0000-7000-8000-00000000000${i.toString(16)}`);
    expect(hueOf(ids[0] ?? "")).toBe(hueOf(ids[0] ?? ""));
    expect(new Set(ids.map(hueOf)).size).toBeGreaterThan(8);
    for (const id of ids) expect(hueOf(id)).toBeLessThan(360);
  });
});

describe("times", () => {
  const now = new Date(2026, 10, 23, 15, 0);
  const local = (day: number, hour = 10) => new Date(2026, 10, day, hour).toISOString();
  const { format } = makeTexting("en", en);
  const german = makeTexting("de", de).format;

  it("names days as people do", () => {
    expect(dayLabel(local(23), now, format)).toBe("Today");
    expect(dayLabel(local(22, 23), now, format)).toBe("Yesterday");
    expect(dayLabel(local(20), now, format)).toBe("Friday");
    expect(dayLabel(local(3), now, format)).toBe("3 Nov");
    expect(dayLabel(new Date(2024, 1, 29, 10).toISOString(), now, format)).toBe("29 Feb 2024");
    expect(dayLabel(local(22, 23), now, german)).toBe("Gestern");
    expect(dayLabel(local(20), now, german)).toBe("Freitag");
  });

  it("is full and in UTC where nobody knows the reader", () => {
    expect(dayLabel("2026-11-23T23:59:00.000000Z", null, format)).toBe("23 Nov 2026");
    expect(dayLabel("2026-11-23T23:59:00.000000Z", null, german)).toBe("23. Nov. 2026");
    expect(dayKey("2026-01-02T00:00:00.000000Z", false)).toBe("2026-01-02");
  });
});
