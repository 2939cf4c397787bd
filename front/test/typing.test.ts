import { describe, expect, it } from "vitest";
import { typingLine, typists } from "@/chat/typing";

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
    expect(typingLine(names)).toBe(line);
  });
});
