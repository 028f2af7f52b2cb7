import { encode } from 'uqr';

export interface QrShape {
  /** Modules along a side, with the margin. */
  size: number;
  /** For an SVG path, a unit square for each run of dark modules. */
  path: string;
}

/** Readers want four light modules around; ISO/IEC 18004, 5.3.8. */
const MARGIN = 4;

export function qrShape(text: string): QrShape {
  const { data, size } = encode(text, { border: MARGIN, ecc: 'M' });
  let path = '';
  data.forEach((row, y) => {
    let x = 0;
    while (x < size) {
      const start = x;
      while (x < size && row[x]) x += 1;
      if (x > start) path += `M${start} ${y}h${x - start}v1h-${x - start}z`;
      x += 1;
    }
  });
  return { size, path };
}
