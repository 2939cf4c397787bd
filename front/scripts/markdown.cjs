// Turns content/*.md into modules while bundling: the metadata between the two "---" lines, and the HTML of the rest.
// So articles are part of the pages: rendered on the server, in the export, and offline, without a file being read.
const { marked } = require("marked");

function readMatter(source) {
  const match = /^---\n([\s\S]*?)\n---\n/.exec(source);
  if (!match) throw new Error("An article starts with --- and lines like “title: …”.");
  const matter = {};
  for (const line of match[1].split("\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) matter[line.slice(0, colon).trim()] = line.slice(colon + 1).trim();
  }
  return { matter, body: source.slice(match[0].length) };
}

module.exports = function markdown(source) {
  const { matter, body } = readMatter(source);
  // Code that is wider than the page scrolls; a keyboard must be able to reach it.
  const html = marked.parse(body, { async: false }).replaceAll("<pre>", '<pre tabindex="0">');
  const words = body.split(/\s+/).length;
  const article = {
    ...matter,
    order: Number(matter.order ?? 0),
    minutes: Math.max(1, Math.round(words / 220)),
    html,
  };
  return `export default ${JSON.stringify(article)};`;
};
