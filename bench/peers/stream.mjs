// stream.mjs: node stream.mjs PORT. Answers /BYTES with as many.
import { createServer } from "node:http";

const block = Buffer.alloc(256 * 1024, "s");
createServer((request, response) => {
  let left = Number(request.url.slice(request.url.lastIndexOf("/") + 1));
  response.setHeader("Content-Length", left);
  const more = () => {
    while (left > 0) {
      const piece = left < block.length ? block.subarray(0, left) : block;
      left -= piece.length;
      if (!response.write(piece)) return void response.once("drain", more);
    }
    response.end();
  };
  more();
}).listen(Number(process.argv[2]), "127.0.0.1", () => console.log("ready"));
