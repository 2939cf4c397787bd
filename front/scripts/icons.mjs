// Every picture of the app from one: public/icon.svg, square, its background reaching all four edges.
//
//   node scripts/icons.mjs        the web's, into public/ (git-ignored; the build calls it)
//
// The native projects take theirs through writeAndroidIcons and writeIosIcons. The same picture and the same version of
// the renderer give the same bytes.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import sharp from "sharp";

const front = dirname(import.meta.dirname);
const config = JSON.parse(readFileSync(join(front, "app.config.json"), "utf8"));
const picture = readFileSync(join(front, "public/icon.svg"));
const PNG = { compressionLevel: 9, effort: 10 };
/** Launchers cut a maskable icon to any shape that holds the circle of this radius, as a part of its width. */
const SAFE_RADIUS = 0.4;
/** An adaptive icon of Android shows a circle of 66 of its 108 units. */
const ADAPTIVE_SCALE = 33 / 108 / SAFE_RADIUS;
const TOLERANCE = 8; // of 255: rounding, where background meets background

function rasterise(size) {
  return sharp(picture, { density: Math.max(72, (72 * size) / 512) })
    .resize(size, size)
    .png(PNG)
    .toBuffer();
}

const canvas = (width, height, background) => sharp({ create: { width, height, channels: 3, background } });

/** The picture in the middle of a plain field. */
async function onField(width, height, background, size) {
  return canvas(width, height, background)
    .composite([{ input: await rasterise(size) }])
    .png(PNG)
    .toBuffer();
}

/** As it is drawn, its corners transparent. */
export const drawIcon = (size) => rasterise(size);

/** Without transparency, for whoever cuts the corners themselves. `scale` is the picture's part of the width. */
export const drawFull = (size, scale = 1) =>
  onField(size, size, config.colours.icon, Math.round(size * scale));

/** For a moment while the app starts: the picture on the theme's background. */
export const drawSplash = (width, height, dark = false) =>
  onField(
    width,
    height,
    dark ? config.colours.dark : config.colours.light,
    Math.round(Math.min(width, height) * 0.28),
  );

/** Throws when something is drawn where a launcher may cut. */
async function checkSafeZone() {
  const size = 256;
  const drawn = await sharp(await drawFull(size))
    .raw()
    .toBuffer();
  const field = await canvas(1, 1, config.colours.icon).raw().toBuffer();
  for (let i = 0; i < size * size; i++) {
    const distance = Math.hypot((i % size) + 0.5 - size / 2, Math.floor(i / size) + 0.5 - size / 2);
    if (distance <= SAFE_RADIUS * size) continue;
    if ([0, 1, 2].some((channel) => Math.abs(drawn[i * 3 + channel] - field[channel]) > TOLERANCE))
      throw new Error(
        `public/icon.svg: outside the circle of ${SAFE_RADIUS * 200} % of its width only colours.icon of app.config.json may be drawn`,
      );
  }
}

/** One PNG in the old container, for who asks for /favicon.ico without having read the page. */
async function favicon() {
  const png = await drawIcon(32);
  const head = Buffer.alloc(22);
  head.writeUInt16LE(1, 2); // an icon
  head.writeUInt16LE(1, 4); // of one picture
  head.writeUInt8(32, 6);
  head.writeUInt8(32, 7);
  head.writeUInt16LE(1, 10);
  head.writeUInt16LE(32, 12);
  head.writeUInt32LE(png.length, 14);
  head.writeUInt32LE(head.length, 18);
  return Buffer.concat([head, png]);
}

async function writeAll(folder, pictures) {
  for (const [name, made] of Object.entries(pictures)) {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, await made);
  }
}

/** Sizes and purposes as the manifest names them. */
export const WEB_ICONS = [
  { src: "/icons/icon-192.png", size: 192, purpose: "any" },
  { src: "/icons/icon-512.png", size: 512, purpose: "any" },
  { src: "/icons/maskable-192.png", size: 192, purpose: "maskable" },
  { src: "/icons/maskable-512.png", size: 512, purpose: "maskable" },
];

export async function writeWebIcons(folder = join(front, "public")) {
  await checkSafeZone();
  rmSync(join(folder, "icons"), { recursive: true, force: true });
  const pictures = Object.fromEntries(
    WEB_ICONS.map(({ src, size, purpose }) => [
      src,
      purpose === "maskable" ? drawFull(size) : drawIcon(size),
    ]),
  );
  await writeAll(folder, {
    ...pictures,
    "icons/apple-touch-icon.png": drawFull(180),
    "icons/favicon-32.png": drawIcon(32),
    "favicon.ico": favicon(),
  });
}

const DENSITIES = { mdpi: 1, hdpi: 1.5, xhdpi: 2, xxhdpi: 3, xxxhdpi: 4 };
const SPLASHES = { mdpi: [480, 320], hdpi: [800, 480], xhdpi: [1280, 720], xxhdpi: [1600, 960] };
SPLASHES.xxxhdpi = [1920, 1280];

/** Into app/src/main/res of an Android project. The adaptive icon's background is colours.icon. */
export async function writeAndroidIcons(folder) {
  await checkSafeZone();
  const pictures = { "drawable/splash.png": drawSplash(480, 320) };
  for (const [density, factor] of Object.entries(DENSITIES)) {
    pictures[`mipmap-${density}/ic_launcher.png`] = drawIcon(48 * factor);
    pictures[`mipmap-${density}/ic_launcher_round.png`] = drawIcon(48 * factor);
    pictures[`mipmap-${density}/ic_launcher_foreground.png`] = drawFull(108 * factor, ADAPTIVE_SCALE);
    const [long, short] = SPLASHES[density];
    for (const [night, dark] of [
      ["", false],
      ["night-", true],
    ]) {
      pictures[`drawable-land-${night}${density}/splash.png`] = drawSplash(long, short, dark);
      pictures[`drawable-port-${night}${density}/splash.png`] = drawSplash(short, long, dark);
    }
  }
  await writeAll(folder, pictures);
}

/** Into App/App/Assets.xcassets of an iOS project. */
export async function writeIosIcons(folder) {
  await checkSafeZone();
  const splash = drawSplash(2732, 2732);
  await writeAll(folder, {
    "AppIcon.appiconset/AppIcon-512@2x.png": drawFull(1024),
    "Splash.imageset/splash-2732x2732.png": splash,
    "Splash.imageset/splash-2732x2732-1.png": splash,
    "Splash.imageset/splash-2732x2732-2.png": splash,
  });
}

if (process.argv[1] === import.meta.filename) await writeWebIcons();
