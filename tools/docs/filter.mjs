// filter.mjs FILE: what Doxygen reads instead of FILE (its INPUT_FILTER).
//
// Headers of this project have plain comments, and Markdown is written for people and for any viewer. Here the comment
// before or behind a declaration becomes a documentation comment, and pages get names, so that neither has to be
// written for Doxygen. Line numbers stay, so that source links lead to the right place.
import { readFileSync } from "node:fs";
import { basename, dirname, join, normalize, relative } from "node:path";

const root = normalize(join(import.meta.dirname, "../.."));
const path = process.argv[2];
const text = readFileSync(path, "utf8");
// The overview is README.md and what tools/docs/build adds to it; the pages it makes are Doxygen's already.
const made = relative(root, normalize(path)).startsWith("build/docs/pages/");
const page = made ? basename(path).replace("bench.md", "bench/README.md") : relative(root, normalize(path));
// As a program includes it: names of files alone are not unique.
const fileName = page.replace(/^stack\/include\//, "");

/* --- comments of C ----------------------------------------------------------------------------------------- */

// Text as Doxygen prints it unchanged; `code` between backticks stays code.
function escaped(words) {
  return words
    .split(/(`[^`]*`)/)
    .map((part, index) =>
      index % 2 ? part : part.replace(/[\\@<>&#%"$*|[\]]/g, "\\$&").replaceAll("::", "\\::"),
    )
    .join("");
}

// "Errors: …" and "Raises: …" begin on a line of their own.
function documentation(comment, opening) {
  const words = comment.slice(2, -2).replace(/\n[ \t]*\*/g, "\n");
  const text = escaped(words).replace(/(^|\s)(Errors?|Raises?): /g, "$1<br><b>$2:</b> ");
  return `${opening}${text.replace(/^(\s*)<br>/, "$1")}*/`;
}

const LITERAL = /"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g;

function filterHeader(source) {
  let result = "";
  let end = 0;
  let sectionOpen = false;
  for (const match of source.matchAll(LITERAL)) {
    const [comment] = match;
    result += source.slice(end, match.index);
    end = match.index + comment.length;
    const line = source.slice(source.lastIndexOf("\n", match.index - 1) + 1, match.index);
    const after = source.slice(end);
    const section = /^\/\*\s*-{2,}\s*(.*?)\s*-*\s*\*\/$/.exec(comment);
    if (!comment.startsWith("/*") || /^[^\n]*\\\n/.test(after) || / clang-format /.test(comment)) {
      result += comment;
    } else if (section && line.trim() === "") {
      result += `${sectionOpen ? "/** @} */ " : ""}/** @name ${escaped(section[1])} */ /** @{ */`;
      sectionOpen = true;
    } else if (match.index === 0) {
      result += `/** @file ${fileName} ${documentation(comment, "")}`;
    } else if (line.trim() !== "") {
      result += documentation(comment, "/**<");
    } else if (/^[ \t]*\n[ \t]*\n/.test(after)) {
      result += `/** @file ${fileName} ${documentation(comment, "")}`; // of no declaration: of the file
    } else {
      result += documentation(comment, "/**");
    }
  }
  result += source.slice(end);
  if (!sectionOpen) return result;
  const last = result.lastIndexOf("#endif");
  return `${result.slice(0, last)}/** @} */ ${result.slice(last)}`;
}

/* --- Markdown ----------------------------------------------------------------------------------------------- */

const slug = (words) =>
  words
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, "")
    .trim()
    .replace(/\s+/g, "-");
// The name of a page: its path, "docs/" left out.
const nameOf = (file) =>
  file
    .replace(/^docs\//, "")
    .replace(/\.md$/, "")
    .replace(/[^A-Za-z0-9]+/g, "-")
    .toLowerCase();
const pages = new Set(readFileSync(join(root, "build/docs/pages.txt"), "utf8").split("\n"));

function link(whole, words, target) {
  if (/^(https?:|mailto:)/.test(target)) return whole;
  const [file, anchor] = target.split("#");
  const to = file === "" ? page : normalize(join(dirname(page), file));
  if (/\.(png|svg)$/.test(to)) return `](${basename(to)})`;
  if (!pages.has(to)) return `${words}`;
  if (to === "README.md") return `[${words}](@ref index)`;
  return `[${words}](@ref ${nameOf(to)}${anchor ? `-${slug(anchor)}` : ""})`;
}

function filterMarkdown(source) {
  let fence = null;
  let first = true;
  const lines = source.split("\n").map((line) => {
    const mark = /^\s*(```+)\s*([\w-]*)/.exec(line);
    if (mark) {
      if (fence === null) {
        fence = mark[1];
        const language = { c: ".c", ts: ".js", tsx: ".js", js: ".js", json: ".js", py: ".py" }[mark[2]];
        return `${line.slice(0, line.indexOf("`"))}${fence}${language ? `{${language}}` : "{.unparsed}"}`;
      }
      if (line.trim().startsWith(fence)) fence = null;
      return line;
    }
    if (fence !== null || (made && /\\subpage|\.html\)/.test(line))) return line;
    const heading = /^(#{1,4}) (.*)$/.exec(line);
    let words = (heading?.[2] ?? line)
      .split(/(`+[^`]*`+)/)
      .map((part, index) => (index % 2 ? part : part.replace(/[\\@<>&%$]/g, "\\$&").replaceAll("\\>", ">")))
      .join("");
    words = words
      .replace(/(?<!!)\[([^\]]*)\]\(([^)\s]+)\)/g, link)
      .replace(/!\[([^\]]*)\]\(([^)\s]+)\)/g, (_, alt, target) => `![${alt}](${basename(target)})`);
    if (!heading) return words;
    if (first && page === "README.md") {
      first = false;
      return line; // the overview
    }
    const id = first ? nameOf(page) : `${nameOf(page)}-${slug(heading[2])}`;
    first = false;
    // "1. Name" would be a list.
    return `${heading[1]} ${words.replaceAll("`", "").replace(/^(\d+)\. /, "$1 · ")} {#${id}}`;
  });
  return lines.join("\n");
}

process.stdout.write(
  made && !page.endsWith("README.md")
    ? text
    : page.endsWith(".md")
      ? filterMarkdown(text)
      : filterHeader(text),
);
