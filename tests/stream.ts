// stream.ts: an answer of so many bytes, as fast as its reader takes them. Upstreams of tests and of bench/ give it.
import type { ServerResponse } from "node:http";

const block = Buffer.alloc(256 * 1024, "x");

export function stream(response: ServerResponse, bytes: number): void {
  let left = bytes;
  const more = () => {
    while (left > 0) {
      const piece = left < block.length ? block.subarray(0, left) : block;
      left -= piece.length;
      if (!response.write(piece)) return void response.once("drain", more);
    }
    response.end();
  };
  more();
}
