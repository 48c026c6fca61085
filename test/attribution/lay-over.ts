const LAY_OVER = 'mount --bind "$1" "$2" && shift 2 && exec "$@"';

/** The command, run where a file stands at another's path. Only for what has a mount namespace of its own. */
export function laidOver(file: string, path: string, command: readonly string[]): readonly string[] {
  return ['sh', '-c', LAY_OVER, 'sh', file, path, ...command];
}
