// pictures.ts: real pictures, made when they are needed.
import { crc32, deflateSync } from "node:zlib";

function chunk(name: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(name, "latin1"), data]);
  const around = Buffer.alloc(8);
  around.writeUInt32BE(data.length, 0);
  around.writeUInt32BE(crc32(body), 4);
  return Buffer.concat([around.subarray(0, 4), body, around.subarray(4)]);
}

// A PNG of two colours that change from left to right. `noise`: it hardly compresses.
export function makePng(width: number, height: number, noise = false): Buffer {
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 2, 0, 0, 0], 8); // 8 bits of red, green and blue
  const rows = Buffer.alloc(height * (1 + 3 * width));
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const at = y * (1 + 3 * width) + 1 + 3 * x;
      const shade = noise ? Math.imul(x * 73_856_093 + y * 19_349_663, 0x9e3779b1) >>> 8 : (x * 255) / width;
      rows.set([shade & 255, 90, 255 - (shade & 255)], at);
    }
  const signature = Buffer.from("\x89PNG\r\n\x1a\n", "latin1");
  return Buffer.concat([
    signature,
    chunk("IHDR", head),
    chunk("IDAT", deflateSync(rows)),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

// One yellow pixel.
export const GIF = Buffer.from("R0lGODdhAQABAIAAAP/MAAAAACwAAAAAAQABAAACAkQBADs=", "base64");
