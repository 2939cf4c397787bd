// stream.mjs: node stream.mjs PORT. Answers /BYTES with as many.
import { createServer } from "node:http";
import { stream } from "../../tests/stream.ts";

createServer((request, response) => {
  const bytes = Number(request.url.slice(request.url.lastIndexOf("/") + 1));
  response.setHeader("Content-Length", bytes);
  stream(response, bytes);
}).listen(Number(process.argv[2]), "127.0.0.1", () => console.log("ready"));
