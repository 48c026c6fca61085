/** Places that users share, and places beside them that are root's alone: whatever others hold, root finds room. */
import { type SharedPlaces, type Taken, UserShares } from './user-shares.ts';

const ROOT = 0;

export interface ReservedPlaces extends SharedPlaces {
  readonly placesOfRoot: number;
}

export class ReservedShares<Place> {
  readonly #ofRoot: UserShares<Place>;
  readonly #ofUsers: UserShares<Place>;

  constructor({ placesOfRoot, ...users }: ReservedPlaces) {
    this.#ofRoot = new UserShares({ places: placesOfRoot, placesOfUser: placesOfRoot });
    this.#ofUsers = new UserShares(users);
  }

  /**
   * Where the user himself holds as much as he may, and `isIdle` is true of something of that, it is this that he gives up for the new one:
   * what he has forgotten does not keep him out.
   */
  take(uid: number, place: Place, isIdle: (held: Place) => boolean = () => false): Taken<Place> {
    const shares = this.#sharesOf(uid);
    const taken = shares.take(uid, place);
    if (taken.kind !== 'full') return taken;
    const given = shares.heldBy(uid).find(isIdle);
    if (given === undefined) return taken;
    shares.free(uid, given);
    const again = shares.take(uid, place);
    return again.kind === 'taken' ? { kind: 'taken over', from: uid, given } : again;
  }

  touch(uid: number, place: Place): void {
    this.#sharesOf(uid).touch(uid, place);
  }

  free(uid: number, place: Place): void {
    this.#sharesOf(uid).free(uid, place);
  }

  #sharesOf(uid: number): UserShares<Place> {
    return uid === ROOT ? this.#ofRoot : this.#ofUsers;
  }
}
