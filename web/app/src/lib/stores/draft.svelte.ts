import { byteLength, MAX_TEXT_BYTES } from '$lib/model/text';
import type { Runtime } from '$lib/runtime/runtime';

/** What is typed is kept at the latest after so long. Each keeping is a write to the disk. */
export const KEEP_AFTER_MS = 1000;

/**
 * What is being written in one conversation. The program keeps it, in the locked profile, and tells all tabs; the browser
 * keeps nothing.
 */
export class Draft {
  text = $state('');
  #runtime: Runtime;
  #contact: string;
  /** What the program has, as far as this tab knows; null if it may have anything. */
  #kept: string | null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Keepings that the program has not answered. */
  #underWay = 0;

  constructor(runtime: Runtime, contact: string, kept: string) {
    this.#runtime = runtime;
    this.#contact = contact;
    this.#kept = kept;
    this.text = kept;
  }

  /** Something is being written here that the program does not have yet. */
  get unkept(): boolean {
    return this.text !== (this.#kept ?? '');
  }

  /** The text was changed by hand. */
  typed(): void {
    this.#timer ??= setTimeout(() => this.keep(), KEEP_AFTER_MS);
  }

  /** Now: the field is left. */
  keep(): void {
    const text = this.#take(false);
    if (text === null) return;
    this.#underWay += 1;
    this.#runtime
      .command('set_draft', this.#draft(text))
      // The link broke, or the disk is full: what the program says next decides, or the next change.
      .catch(() => {
        if (this.#kept === text) this.#kept = null;
      })
      .finally(() => (this.#underWay -= 1));
  }

  /** Now or never: the page goes away. */
  part(): void {
    // What was said a moment ago may be lost with the link.
    const text = this.#take(this.#underWay > 0);
    if (text !== null) this.#runtime.part(this.#draft(text));
  }

  /** What the program has, after another tab has changed it, or at a new beginning. */
  told(text: string): void {
    // What is being written here is newer.
    if (this.unkept) return this.typed();
    this.text = text;
    this.#kept = text;
  }

  /** It is on its way, and the program removes it when it has it. */
  sent(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.text = '';
    this.#kept = '';
  }

  #draft(text: string): { contact: string; text: string; face: string } {
    return { contact: this.#contact, text, face: this.#runtime.face };
  }

  /** What is to be kept, if anything is; `again`: also what is on its way. */
  #take(again: boolean): string | null {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    // What is too long for a message is shown to be; the last that was not is kept.
    if (!(this.unkept || again) || byteLength(this.text) > MAX_TEXT_BYTES) return null;
    this.#kept = this.text;
    return this.text;
  }

  /** The program is away, or locked: whether what is written here outlives that. */
  forget(keepText: boolean): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (!keepText) this.text = '';
    this.#kept = null;
  }
}
