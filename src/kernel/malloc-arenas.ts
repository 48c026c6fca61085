import { createRequire } from 'node:module';

/** mallopt(3), malloc.h */
const M_ARENA_MAX = -8;

/**
 * At most so many arenas for all threads of the process: as MALLOC_ARENA_MAX, but however the process was started. Does
 * nothing where the C library has no arenas (musl). Before threads are started: arenas that are there stay.
 */
export function limitMallocArenas(count: number): void {
  const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
  const mallopt = bindMallopt(koffi.load(null));
  mallopt?.(M_ARENA_MAX, count);
}

function bindMallopt(program: {
  func(prototype: string): unknown;
}): ((parameter: number, value: number) => number) | undefined {
  try {
    return program.func('int mallopt(int, int)') as (parameter: number, value: number) => number;
  } catch {
    return undefined;
  }
}
