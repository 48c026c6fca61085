/**
 * Node opens its inspector, which runs anybody's code, at SIGUSR1 and where its environment says so. On a port of loopback:
 * any local user would be who runs the program.
 */

/** Node's own handler opens a port. Ours, which takes its place, does nothing. */
export function leaveSignalsToUs(): void {
  process.on('SIGUSR1', () => undefined);
}

/** Ends the process where it is root's and the inspector is open: whoever has been quick enough is inside. */
export function refuseInspector(): void {
  const url = openInspector();
  if (url === undefined || process.geteuid?.() !== 0) return;
  process.stderr.write(
    `error: Node's inspector is open (${url}): any local user can run code as root\n` +
      '       hint: start ./pointsman, which shuts it, or node without --inspect, NODE_OPTIONS and SIGUSR1\n',
  );
  process.exit(1);
}

function openInspector(): string | undefined {
  // Node can be built without it.
  if (!process.features.inspector) return undefined;
  return process.getBuiltinModule('node:inspector').url();
}
