/** What is said to those who do not see the page, and the notices that everybody sees. */
export class Speaker {
  said = $state('');
  notices = $state.raw<{ key: number; text: string }[]>([]);
  #lastKey = 0;

  /** For a screen reader alone. */
  say(text: string): void {
    // The same words twice in a row are to be heard twice.
    this.said = this.said === text ? `${text}\u00a0` : text;
  }

  /** Stays until it is closed. */
  notice(text: string): void {
    if (this.notices.some((notice) => notice.text === text)) return;
    this.#lastKey += 1;
    this.notices = [...this.notices, { key: this.#lastKey, text }];
  }

  dismiss(key: number): void {
    this.notices = this.notices.filter((notice) => notice.key !== key);
  }
}
