// Which view is open. It lies in the browser's history, so that its back button works, and not in the address, which
// would keep on disk whom one talked to.

export type Place =
  | { view: 'list' }
  /** With `at`, at this message. */
  | { view: 'talk'; contact: string; at?: number }
  | { view: 'compare'; contact: string }
  | { view: 'add' }
  | { view: 'invite' }
  | { view: 'accept' }
  | { view: 'network' }
  | { view: 'settings' };

interface Entry {
  place: Place;
  /** What was open before, in this tab. */
  before: Place | null;
}

const LIST: Place = { view: 'list' };

/** Where back leads: the first of these, or another of them if one came from there. */
function parents(place: Place): [Place, ...Place['view'][]] {
  switch (place.view) {
    case 'compare':
      return [{ view: 'talk', contact: place.contact }];
    case 'invite':
    case 'accept':
      return [{ view: 'add' }, 'add', 'list'];
    case 'add':
    case 'network':
    case 'settings':
      return [LIST, 'talk', 'list'];
    default:
      return [LIST, 'list'];
  }
}

function same(a: Place | null, b: Place): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

export class Route {
  place = $state.raw<Place>(LIST);
  #before: Place | null = null;

  start(): () => void {
    this.#take(history.state);
    const popped = (event: PopStateEvent): void => this.#take(event.state);
    addEventListener('popstate', popped);
    return () => removeEventListener('popstate', popped);
  }

  go(place: Place): void {
    if (same(this.place, place)) return;
    this.#before = this.place;
    this.#set(place, 'pushState');
  }

  /** In the place of the open view: going back does not lead to it again. */
  replace(place: Place): void {
    this.#set(place, 'replaceState');
  }

  /** Up to where the open view belongs, which is not always what was open before. */
  back(): void {
    if (this.place.view === 'list') return;
    const [parent, ...others] = parents(this.place);
    const before = this.#before;
    if (before && (same(before, parent) || others.includes(before.view))) history.back();
    else this.replace(parent);
  }

  /** The contact whose conversation is open. */
  get contact(): string | null {
    return this.place.view === 'talk' || this.place.view === 'compare' ? this.place.contact : null;
  }

  #set(place: Place, how: 'pushState' | 'replaceState'): void {
    this.place = place;
    history[how]({ place, before: this.#before } satisfies Entry, '');
  }

  #take(state: unknown): void {
    const entry = state as Entry | null;
    this.#before = entry?.before ?? null;
    this.place = entry?.place ?? LIST;
  }
}
