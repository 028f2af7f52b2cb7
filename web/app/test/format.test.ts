import { describe, expect, it } from 'vitest';
import { Format } from '$lib/i18n/format';

const NOON = new Date(2026, 5, 17, 12, 0).getTime();
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

describe('dates', () => {
  const format = new Format('en-GB');

  it('are told by the calendar, not by hours that have passed', () => {
    expect(format.brief(NOON - HOUR, NOON)).toBe('11:00');
    expect(format.brief(NOON - 13 * HOUR, NOON)).toBe('Yesterday');
    expect(format.brief(NOON - 3 * DAY, NOON)).toBe('Sunday');
    expect(format.brief(NOON - 30 * DAY, NOON)).toBe('18 May');
    expect(format.brief(NOON - 400 * DAY, NOON)).toBe('13 May 2025');
  });

  it('stand above a day', () => {
    expect(format.day(NOON, NOON)).toBe('Today');
    expect(format.day(NOON - DAY, NOON)).toBe('Yesterday');
    expect(format.day(NOON - 2 * DAY, NOON)).toBe('Monday 15 June');
  });

  it('of a sender whose clock is ahead do not fail', () => {
    expect(format.brief(NOON + HOUR, NOON)).toBe('13:00');
    expect(format.day(NOON + 2 * DAY, NOON)).toBe('Friday 19 June');
  });
});

describe('amounts', () => {
  const format = new Format('en-GB');

  it('have one unit', () => {
    expect(format.bytes(6_340_000_000)).toBe('6.3 gigabytes');
    expect(format.bytes(25_000_000_000)).toBe('25 gigabytes');
    expect(format.bytes(211_000_000)).toBe('211 megabytes');
    expect(format.seconds(2.4)).toBe('2.4 seconds');
    expect(format.seconds(63.6)).toBe('64 seconds');
    expect(format.days(16 * DAY)).toBe('16 days');
    expect(format.days(HOUR)).toBe('1 hour');
    expect(format.seconds(150)).toBe('2.5 minutes');
    expect(format.seconds(0.2)).toBe('1 second');
  });

  it('are told in Arabic too', () => {
    const arabic = new Format('ar');
    expect(arabic.seconds(8)).toContain('ثوان');
    expect(arabic.bytes(6e9)).toContain('غيغابايت');
  });
});
