/**
 * Programs that join a network namespace to this machine's network by sockets of their own (pasta, slirp4netns): what leaves by these is
 * sent by whatever runs in the namespace, whose own sockets nobody here sees. They are told by the name of the file alone: it makes a
 * program stricter, and never more than one without a policy.
 */

/** passt executes itself as `passt.avx2` where the processor has these instructions; podman's `rootlessport` stands for listeners. */
const NAMES: ReadonlySet<string> = new Set([
  'passt',
  'passt.avx2',
  'pasta',
  'pasta.avx2',
  'slirp4netns',
  'rootlesskit',
  'rootlessport',
  'gvproxy',
  'vpnkit',
]);
/** Where packages put them. */
const DIRECTORIES = [
  '/usr/bin',
  '/usr/local/bin',
  '/usr/libexec/podman',
  '/usr/lib/podman',
  '/usr/local/libexec/podman',
];

export const userModeNetworkNames = (): readonly string[] => [...NAMES];

/** Under any of these paths it may be installed. */
export const userModeNetworkPaths = (): readonly string[] =>
  DIRECTORIES.flatMap((directory) => [...NAMES].map((name) => `${directory}/${name}`));

/** `executable`: a path, or the name of the file alone. */
export function isUserModeNetwork(executable: string): boolean {
  return NAMES.has(executable.slice(executable.lastIndexOf('/') + 1));
}

/** What executes another file of its own in its place, once it has started: `/usr/bin/passt` becomes `/usr/bin/passt.avx2`. */
export function alsoExecutes(executable: string): string | undefined {
  return /\/(?:passt|pasta)$/.test(executable) ? `${executable}.avx2` : undefined;
}
