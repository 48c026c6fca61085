/**
 * Places that the users of a machine share. Each has a bound of his own; and where all places are taken, whoever holds the most gives
 * up the one that has been quiet for longest to a user who holds fewer: so nobody can keep another one out, in company neither.
 */

export interface SharedPlaces {
  readonly places: number;
  readonly placesOfUser: number;
}

/** `given`: to whom the place belonged until now. */
export type Taken<Place> =
  | { readonly kind: 'taken' }
  | { readonly kind: 'taken over'; readonly from: number; readonly given: Place }
  | { readonly kind: 'full' };

export class UserShares<Place> {
  readonly #bounds: SharedPlaces;
  /** Of each user that holds any; the one that has been quiet for longest is the first. */
  readonly #held = new Map<number, Set<Place>>();
  #total = 0;

  constructor(bounds: SharedPlaces) {
    this.#bounds = bounds;
  }

  take(uid: number, place: Place): Taken<Place> {
    const held = this.#held.get(uid)?.size ?? 0;
    if (held >= this.#bounds.placesOfUser) return { kind: 'full' };
    if (this.#total < this.#bounds.places) {
      this.#add(uid, place);
      return { kind: 'taken' };
    }
    const most = this.#whoHoldsMost();
    // Two who hold the same would take it from one another for ever.
    if (most === undefined || most.places.size <= held + 1) return { kind: 'full' };
    const [given] = most.places;
    if (given === undefined) return { kind: 'full' };
    this.free(most.uid, given);
    this.#add(uid, place);
    return { kind: 'taken over', from: most.uid, given };
  }

  /** It is in use. */
  touch(uid: number, place: Place): void {
    const places = this.#held.get(uid);
    if (places?.delete(place) === true) places.add(place);
  }

  /** Without effect where somebody else has it by now. */
  free(uid: number, place: Place): void {
    const places = this.#held.get(uid);
    if (places?.delete(place) !== true) return;
    this.#total -= 1;
    if (places.size === 0) this.#held.delete(uid);
  }

  /** What a user holds; what has been quiet for longest is the first. */
  heldBy(uid: number): readonly Place[] {
    return [...(this.#held.get(uid) ?? [])];
  }

  all(): readonly Place[] {
    return [...this.#held.values()].flatMap((places) => [...places]);
  }

  #add(uid: number, place: Place): void {
    const places = this.#held.get(uid) ?? new Set();
    this.#held.set(uid, places);
    places.add(place);
    this.#total += 1;
  }

  #whoHoldsMost(): { readonly uid: number; readonly places: ReadonlySet<Place> } | undefined {
    let most: { readonly uid: number; readonly places: ReadonlySet<Place> } | undefined;
    for (const [uid, places] of this.#held)
      if (most === undefined || places.size > most.places.size) most = { uid, places };
    return most;
  }
}
