// Dates, times and amounts, by Intl.

const MINUTE = 60_000;
const HOUR = 3_600_000;
const DAY = 86_400_000;

export class Format {
  readonly number: Intl.NumberFormat;
  readonly plural: Intl.PluralRules;
  #clock: Intl.DateTimeFormat;
  #weekday: Intl.DateTimeFormat;
  #date: Intl.DateTimeFormat;
  #dateOfYear: Intl.DateTimeFormat;
  #long: Intl.DateTimeFormat;
  #full: Intl.DateTimeFormat;
  #moment: Intl.DateTimeFormat;
  #relative: Intl.RelativeTimeFormat;
  #percent: Intl.NumberFormat;
  #language: string;

  constructor(language: string) {
    this.#language = language;
    this.number = new Intl.NumberFormat(language, { maximumFractionDigits: 2 });
    this.plural = new Intl.PluralRules(language);
    this.#clock = new Intl.DateTimeFormat(language, { hour: 'numeric', minute: '2-digit' });
    this.#weekday = new Intl.DateTimeFormat(language, { weekday: 'long' });
    this.#date = new Intl.DateTimeFormat(language, { day: 'numeric', month: 'short' });
    this.#dateOfYear = new Intl.DateTimeFormat(language, { dateStyle: 'medium' });
    this.#long = new Intl.DateTimeFormat(language, { weekday: 'long', day: 'numeric', month: 'long' });
    this.#full = new Intl.DateTimeFormat(language, { dateStyle: 'full', timeStyle: 'short' });
    this.#moment = new Intl.DateTimeFormat(language, { weekday: 'long', day: 'numeric', month: 'long', hour: 'numeric', minute: '2-digit' });
    this.#relative = new Intl.RelativeTimeFormat(language, { numeric: 'auto' });
    this.#percent = new Intl.NumberFormat(language, { style: 'percent', maximumFractionDigits: 1 });
  }

  clock(time: number): string {
    return this.#clock.format(time);
  }

  full(time: number): string {
    return this.#full.format(time);
  }

  /** In a list: the hour of today, the day of this week, else the date. */
  brief(time: number, now: number): string {
    const days = daysBetween(time, now);
    if (days <= 0) return this.clock(time);
    if (days === 1) return this.#capital(this.#relative.format(-1, 'day'));
    if (days < 7) return this.#weekday.format(time);
    return this.#year(time) === this.#year(now) ? this.#date.format(time) : this.#dateOfYear.format(time);
  }

  /** A day and its hour, at any time of this year or another. */
  moment(time: number): string {
    return this.#moment.format(time);
  }

  /** Above the messages of a day. */
  day(time: number, now: number): string {
    const days = daysBetween(time, now);
    if (days === 0 || days === 1) return this.#capital(this.#relative.format(days === 0 ? 0 : -1, 'day'));
    return this.#year(time) === this.#year(now) ? this.#long.format(time) : this.#dateOfYear.format(time);
  }

  /** "in 12 seconds". */
  until(time: number, now: number): string {
    const left = Math.max(0, time - now);
    if (left < MINUTE) return this.#relative.format(Math.round(left / 1000), 'second');
    return this.#relative.format(Math.round(left / MINUTE), 'minute');
  }

  /** With one unit, as people say it. */
  seconds(seconds: number): string {
    const [value, unit] = seconds < 90 ? [seconds, 'second'] : [seconds / 60, 'minute'];
    const digits = value < 9.5 ? 1 : 0;
    return this.#unit(Math.max(value, 1), unit, digits);
  }

  /** Whole days; hours, if it is less than two. */
  days(milliseconds: number): string {
    const long = milliseconds >= 2 * DAY;
    return this.#unit(Math.round(milliseconds / (long ? DAY : HOUR)), long ? 'day' : 'hour', 0);
  }

  milliseconds(value: number): string {
    return value < 1000 ? this.#unit(value, 'millisecond', 0) : this.#unit(value / 1000, 'second', 1);
  }

  bytes(bytes: number): string {
    if (bytes < 1e9) return this.#unit(bytes / 1e6, 'megabyte', 0);
    return this.#unit(bytes / 1e9, 'gigabyte', bytes < 1e10 ? 1 : 0);
  }

  percent(share: number): string {
    return this.#percent.format(share);
  }

  #unit(value: number, unit: string, maximumFractionDigits: number): string {
    return new Intl.NumberFormat(this.#language, { style: 'unit', unit, unitDisplay: 'long', maximumFractionDigits }).format(value);
  }

  #year(time: number): number {
    return new Date(time).getFullYear();
  }

  #capital(text: string): string {
    return text.charAt(0).toLocaleUpperCase(this.#language) + text.slice(1);
  }
}

/** Whole days of the calendar, not of 24 hours. */
function daysBetween(time: number, now: number): number {
  return Math.round((new Date(now).setHours(0, 0, 0, 0) - new Date(time).setHours(0, 0, 0, 0)) / DAY);
}
