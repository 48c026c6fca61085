/**
 * Whose the connections to the control socket are, and until when they stay: none is kept that asks nothing, asks by halves or does
 * not read its answer, and nobody's connections keep others out.
 */
import type { Socket } from 'node:net';
import type { Background } from '../kernel/background.ts';
import { ReservedShares } from './reserved-shares.ts';

/** Of users together, and of each. */
export const USER_CONNECTIONS = 64;
export const CONNECTIONS_OF_USER = 16;
/** Beside those of users. */
export const ROOT_CONNECTIONS = 64;
/** For a request to be whole, from the connection's beginning or the last answer on. */
const REQUEST_WITHIN_MS = 10_000;
/** For an answer to be read. The largest, a plan of 10,000 applications, takes a fraction of a second. */
const READ_WITHIN_MS = 60_000;

export interface ControlConnection {
  /** False: there is a request under way already, and this one is not to be looked at. */
  begin(): boolean;
  /** All of the request is there. */
  requested(): void;
  /** The answer is whole, and on its way. */
  answering(): void;
  /** Nothing is worked on any more, and nothing is to be read. */
  answered(): void;
}

interface Held {
  readonly socket: Socket;
  isBusy: boolean;
}

export class ControlConnections {
  readonly #background: Background;
  readonly #onShareFull: (uid: number) => void;
  readonly #shares = new ReservedShares<Held>({
    places: USER_CONNECTIONS,
    placesOfUser: CONNECTIONS_OF_USER,
    placesOfRoot: ROOT_CONNECTIONS,
  });

  /** `onShareFull`: a user is refused a connection, or one is ended that he has. */
  constructor(background: Background, onShareFull: (uid: number) => void) {
    this.#background = background;
    this.#onShareFull = onShareFull;
  }

  /** Undefined: the user has as many as he may, and all of them are in use. */
  take(uid: number, socket: Socket): ControlConnection | undefined {
    const held: Held = { socket, isBusy: false };
    const taken = this.#shares.take(uid, held, ({ isBusy }) => !isBusy);
    if (taken.kind === 'full') this.#onShareFull(uid);
    if (taken.kind === 'full') return undefined;
    if (taken.kind === 'taken over') {
      this.#onShareFull(taken.from);
      taken.given.socket.destroy();
    }
    let deadline: NodeJS.Timeout | undefined;
    const within = (ms: number): void => {
      clearTimeout(deadline);
      deadline = this.#background.timeout(() => socket.destroy(), ms);
    };
    socket.once(
      'close',
      this.#background.handler(() => {
        clearTimeout(deadline);
        // Whoever asks and goes away has not had what he asked for done any sooner.
        if (!held.isBusy) this.#shares.free(uid, held);
      }),
    );
    within(REQUEST_WITHIN_MS);
    return {
      begin: () => {
        // Requests behind one another would be worked on all at once, however many.
        if (held.isBusy) return false;
        held.isBusy = true;
        this.#shares.touch(uid, held);
        return true;
      },
      requested: () => clearTimeout(deadline),
      answering: () => within(READ_WITHIN_MS),
      answered: () => {
        held.isBusy = false;
        if (socket.destroyed) this.#shares.free(uid, held);
        else within(REQUEST_WITHIN_MS);
      },
    };
  }
}
