// Which view is open. It lies in the browser's history, so that its back button works, and not in the address, which
// would keep on disk whom one talked to.

export type Place =
  | { view: 'list' }
  | { view: 'talk'; contact: string }
  | { view: 'compare'; contact: string }
  | { view: 'add' }
  | { view: 'invite' }
  | { view: 'accept' }
  | { view: 'network' }
  | { view: 'settings' };

interface Entry {
  place: Place;
  /** How many entries of ours lie before it. */
  depth: number;
}

export class Route {
  place = $state<Place>({ view: 'list' });
  #depth = 0;

  start(): () => void {
    this.#take(history.state);
    const popped = (event: PopStateEvent): void => this.#take(event.state);
    addEventListener('popstate', popped);
    return () => removeEventListener('popstate', popped);
  }

  go(place: Place): void {
    if (JSON.stringify(place) === JSON.stringify(this.place)) return;
    this.#depth += 1;
    this.#set(place, 'pushState');
  }

  /** In the place of the open view: going back does not lead to it again. */
  replace(place: Place): void {
    this.#set(place, 'replaceState');
  }

  back(otherwise: Place = { view: 'list' }): void {
    if (this.#depth > 0) history.back();
    else this.replace(otherwise);
  }

  /** The contact whose conversation is open. */
  get contact(): string | null {
    return this.place.view === 'talk' || this.place.view === 'compare' ? this.place.contact : null;
  }

  #set(place: Place, how: 'pushState' | 'replaceState'): void {
    this.place = place;
    history[how]({ place, depth: this.#depth } satisfies Entry, '');
  }

  #take(state: unknown): void {
    const entry = state as Entry | null;
    this.#depth = entry?.depth ?? 0;
    this.place = entry?.place ?? { view: 'list' };
  }
}
