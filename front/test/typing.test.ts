import { describe, expect, it } from "vitest";
import { typingLine, typists } from "@/chat/typing";
import { de } from "@/i18n/de";
import { en } from "@/i18n/en";
import { makeTexting } from "@/i18n/texts";

const said = (user: string, kind: string, data: unknown) => ({ user, kind, data, at_ms: 0 });

describe("typists", () => {
  it("are those who have said so and not taken it back", () => {
    expect(
      typists([
        said("ada", "typing", true),
        said("ben", "typing", false),
        said("cleo", "waving", true),
        said("dan", "typing", "<b>yes</b>"),
      ]),
    ).toEqual(["ada"]);
  });
});

describe("typingLine", () => {
  it.each([
    [[], ""],
    [["Ada"], "Ada is writing …"],
    [["Ada", "Ben"], "Ada and Ben are writing …"],
    [["Ada", "Ben", "Cleo"], "Several people are writing …"],
  ])("of %j is %j", (names, line) => {
    expect(typingLine(names, makeTexting("en", en).t)).toBe(line);
  });

  it("speaks German", () => {
    expect(typingLine(["Ada", "Ben"], makeTexting("de", de).t)).toBe("Ada und Ben schreiben …");
  });
});
