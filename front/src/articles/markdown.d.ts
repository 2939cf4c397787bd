/** scripts/markdown.cjs turns an article into this while bundling. */
declare module "*.md" {
  const article: import("./index").Article;
  export default article;
}
