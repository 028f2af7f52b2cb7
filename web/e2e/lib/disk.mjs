// A small disk of one program alone, that can be full.
import { openSync, closeSync, rmSync, writeSync } from 'node:fs';

/** Starts a program with a file system in memory at `dir`, which it alone sees: testing/e2e/sandbox.rs. */
export function onSmallDisk(dir) {
  const script = 'mount -t tmpfs -o size=32m,mode=0700 tmpfs "$0" && exec "$@"';
  return ['unshare', '--user', '--map-root-user', '--mount', 'sh', '-c', script, dir];
}

/** Takes what room there is. */
export function fill(ballast) {
  const file = openSync(ballast, 'a');
  try {
    for (const size of [1 << 20, 1 << 16, 1 << 12, 1]) {
      const piece = Buffer.alloc(size, 0x55);
      // A disk that is nearly full takes a part of a piece.
      while (wrote(file, piece) === size);
    }
  } finally {
    closeSync(file);
  }
}

function wrote(file, piece) {
  try {
    return writeSync(file, piece);
  } catch (error) {
    if (error.code === 'ENOSPC') return 0;
    throw error;
  }
}

export function free(ballast) {
  rmSync(ballast);
}
