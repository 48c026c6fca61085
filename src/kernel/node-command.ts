/**
 * How programs of ours that run as root start Node: without the inspector, which Node opens to every local user on a port of
 * loopback at SIGUSR1, before the first line of a program can say otherwise.
 */

/** In 0.0.0.0/8, which is nobody's address, of which even ip_nonlocal_bind makes none that is reached. */
const NOWHERE = '--inspect-port=0.0.0.1:9229';
/** Node 22.14 and newer have a switch. */
const SWITCH = '--disable-sigusr1';

/** Whether a Node that was started with these options opens nothing at SIGUSR1, from its first moment on. */
export const isShut = (execArgv: readonly string[]): boolean => execArgv.includes(NOWHERE) || execArgv.includes(SWITCH);

/** `./pointsman` says the same in its own language. */
export function nodeCommand(...program: readonly string[]): readonly string[] {
  const hasSwitch = process.allowedNodeEnvironmentFlags.has(SWITCH);
  return [process.execPath, '--no-warnings', NOWHERE, ...(hasSwitch ? [SWITCH] : []), ...program];
}
