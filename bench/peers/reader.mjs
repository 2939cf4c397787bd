// reader.mjs: node reader.mjs URL. Reads an answer to its end and prints how many bytes it had.
import { get } from "node:http";

get(process.argv[2], (response) => {
  let bytes = 0;
  response.on("data", (piece) => {
    bytes += piece.length;
  });
  response.on("end", () => console.log(response.complete ? bytes : "cut"));
});
