/** Where policy files may stand, and which file names count. */
import type { Layer } from './model.ts';

/** Weakest first: the rules of upper layers come first, and the highest layer that states a value wins. */
export const LAYERS: readonly Layer[] = ['builtin', 'package', 'administrator', 'answers', 'locks'];

/** The more, the stronger. */
export function layerStrength(layer: Layer): number {
  return LAYERS.indexOf(layer);
}

/** What the administrator writes himself: stronger than any package, and not only narrowing, as answers are. */
export function isAdministrators(layer: Layer): boolean {
  return layer === 'administrator' || layer === 'locks';
}

const POLICY_FILE_NAME = /^[^.].*\.ya?ml$/s;

/** `*.yaml` and `*.yml`. Hidden files and what editors and dpkg leave behind (`x.yaml~`, `x.yaml.dpkg-new`) do not count. */
export function isPolicyFileName(name: string): boolean {
  return POLICY_FILE_NAME.test(name);
}
