import type { Family } from '../net/address.ts';
import { DecodeError } from './errors.ts';
import { AF_INET, AF_INET6 } from './uapi.ts';

export function encodeFamily(family: Family): number {
  return family === 4 ? AF_INET : AF_INET6;
}

/** Throws DecodeError for a family that is not IP. */
export function decodeFamily(family: number): Family {
  if (family === AF_INET) return 4;
  if (family === AF_INET6) return 6;
  throw new DecodeError(`address family ${family}`);
}
