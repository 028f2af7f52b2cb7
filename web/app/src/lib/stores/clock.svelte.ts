/** The time, as far as anything shown depends on it: "today" becomes "yesterday" by itself. */
class Clock {
  minute = $state(Date.now());
  second = $state(Date.now());

  constructor() {
    setInterval(() => {
      this.second = Date.now();
      if (this.second - this.minute >= 60_000) this.minute = this.second;
    }, 1000);
  }
}

export const clock = new Clock();
