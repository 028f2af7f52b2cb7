// A QR code out of a picture: decoded here, the picture goes nowhere.

/** Larger pictures are made smaller: a photograph's pixels are far more than the code has modules. */
const LONGEST_SIDE = 1600;
/** A code that fills a large photograph is read better when the picture is smaller still. */
const SIDES = [LONGEST_SIDE, 800, 400];

/** What the code says; null if none is found. Fails if the file is no picture. */
export async function readQr(file: Blob): Promise<string | null> {
  const picture = await createImageBitmap(file);
  try {
    // Only few need it, and it is larger than the rest of the page.
    const { default: jsQR } = await import('jsqr');
    for (const side of SIDES) {
      const image = pixels(picture, side);
      const found = jsQR(image.data, image.width, image.height);
      if (found?.data) return found.data;
      if (Math.max(picture.width, picture.height) <= side && side !== LONGEST_SIDE) break;
    }
    return null;
  } finally {
    picture.close();
  }
}

function pixels(picture: ImageBitmap, side: number): ImageData {
  const scale = Math.min(1, side / Math.max(picture.width, picture.height));
  const width = Math.max(1, Math.round(picture.width * scale));
  const height = Math.max(1, Math.round(picture.height * scale));
  const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
  if (!context) throw new Error('no canvas');
  // Pictures may be transparent, and codes are dark on light.
  context.fillStyle = '#fff';
  context.fillRect(0, 0, width, height);
  context.drawImage(picture, 0, 0, width, height);
  return context.getImageData(0, 0, width, height);
}
