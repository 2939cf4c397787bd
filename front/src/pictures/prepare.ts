/* A chosen file becomes what is sent: small enough, and without what a camera writes into it (where it was taken). Photos
 * are drawn anew at a size that screens can show; a GIF stays as it is, since it may move. */

export const TYPES = ["image/png", "image/jpeg", "image/webp", "image/gif"];
export const BYTES_MAX = 5 * 1024 * 1024; // as the server says
const SIDE_MAX = 2048;
const QUALITY = 0.85;

export type Refusal = "pictures.wrong_type" | "pictures.too_large" | "pictures.broken";

export class Refused extends Error {
  readonly why: Refusal;
  constructor(why: Refusal) {
    super(why);
    this.why = why;
  }
}

export interface Prepared {
  blob: Blob;
  width: number;
  height: number;
}

/** The size in which a picture is drawn: no side longer than `max`, at least a pixel each. */
export function fitted(width: number, height: number, max = SIDE_MAX): { width: number; height: number } {
  const scale = Math.min(1, max / Math.max(width, height));
  return {
    width: Math.max(1, Math.round(width * scale)),
    height: Math.max(1, Math.round(height * scale)),
  };
}

async function draw(image: ImageBitmap, type: string): Promise<Prepared> {
  const size = fitted(image.width, image.height);
  const canvas = Object.assign(document.createElement("canvas"), size);
  canvas.getContext("2d")?.drawImage(image, 0, 0, size.width, size.height);
  const blob = await new Promise<Blob | null>((done) => canvas.toBlob(done, type, QUALITY));
  if (!blob) throw new Refused("pictures.broken");
  return { blob, ...size };
}

/** Throws Refused. */
export async function prepare(file: Blob): Promise<Prepared> {
  if (!TYPES.includes(file.type)) throw new Refused("pictures.wrong_type");
  const image = await createImageBitmap(file).catch(() => {
    throw new Refused("pictures.broken");
  });
  try {
    const isKept = file.type === "image/gif" || (file.type === "image/png" && file.size <= BYTES_MAX / 5);
    const same = { blob: file, width: image.width, height: image.height };
    const made = isKept ? same : await draw(image, file.type === "image/jpeg" ? "image/jpeg" : "image/webp");
    if (made.blob.size > BYTES_MAX) throw new Refused("pictures.too_large");
    return made;
  } finally {
    image.close();
  }
}
