// A clock of one program alone, that can be wrong: testing/e2e/clock.rs.
import { existsSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Where Debian's `faketime` has it: below the architecture's own directory. */
function library() {
  const places = readdirSync('/usr/lib').map((name) => join('/usr/lib', name, 'faketime/libfaketimeMT.so.1'));
  const found = places.find((place) => existsSync(place));
  if (!found) throw new Error('the package faketime is not installed; ./x setup does it');
  return found;
}

export class Dial {
  #dir = mkdtempSync(join(tmpdir(), 'xchat-page-dial-'));

  constructor() {
    this.turn('+0');
  }

  /** By this much, in the words of `faketime`. */
  turn(offset) {
    const next = join(this.#dir, 'next');
    writeFileSync(next, offset);
    renameSync(next, join(this.#dir, 'offset'));
  }

  /** The words before a program that shall live by it. */
  get runner() {
    const file = join(this.#dir, 'offset');
    const settings = [`LD_PRELOAD=${library()}`, `FAKETIME_TIMESTAMP_FILE=${file}`];
    return ['env', ...settings, 'FAKETIME_DONT_FAKE_MONOTONIC=1', 'FAKETIME_CACHE_DURATION=1'];
  }

  remove() {
    rmSync(this.#dir, { recursive: true, force: true });
  }
}
