// check.mjs: public functions of the stack's headers without a comment, from Doxygen's XML. Fails when there are any.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const folder = join(import.meta.dirname, "../../build/docs/xml");
const missing = [];
let count = 0;

for (const name of readdirSync(folder).filter((file) => file.endsWith("_8h.xml"))) {
  const xml = readFileSync(join(folder, name), "utf8");
  for (const [, member] of xml.matchAll(/<memberdef kind="function"([\s\S]*?)<\/memberdef>/g)) {
    const [, file, line] = /<location file="([^"]+)" line="(\d+)"/.exec(member) ?? [];
    if (!/^(stack\/include\/)?tims\//.test(file ?? "")) continue;
    count++;
    const said = /<(brief|detailed)description>\s*<para>/.test(member);
    if (!said) missing.push(`${file}:${line}: ${/<name>([^<]+)<\/name>/.exec(member)?.[1]} has no comment`);
  }
}
if (count < 400) missing.push(`only ${count} public functions were found: that cannot be all`);
for (const line of missing.sort()) console.error(line);
if (missing.length === 0) console.log(`ok 2 - all ${count} public functions have a comment`);
process.exit(missing.length ? 1 : 0);
