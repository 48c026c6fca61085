/** The least of HTTP/1.1 (RFC 9112): a request for one page, and the status of the response. */

const STATUS_LINE = /^HTTP\/1\.[01] ([1-5]\d\d)(?: |\r?\n)/;
/** Longer than any status line that matters. */
const MAX_STATUS_LINE = 64;
/** Network Authentication Required (RFC 6585 section 6). */
const STATUS_PORTAL = 511;
const STATUS_NO_CONTENT = 204;

/** `host`: as it stands in the URL. All of it is ASCII. */
export function encodeHttpGet(host: string, path: string): Uint8Array {
  const lines = [`GET ${path} HTTP/1.1`, `Host: ${host}`, 'User-Agent: pointsman', 'Connection: close', '', ''];
  return Uint8Array.from(lines.join('\r\n'), (character) => character.charCodeAt(0));
}

/** `undefined`: not all there yet. `not HTTP`: and never will be. */
export function readHttpStatus(bytes: Uint8Array): number | 'not HTTP' | undefined {
  const text = String.fromCharCode(...bytes.subarray(0, MAX_STATUS_LINE));
  const [, status] = STATUS_LINE.exec(text) ?? [];
  if (status !== undefined) return Number(status);
  return bytes.length < MAX_STATUS_LINE && !text.includes('\n') ? undefined : 'not HTTP';
}

/**
 * Whether somebody in between has answered in place of a page that has no content (status 204). `undefined`: it cannot be told,
 * because the server itself is in trouble.
 */
export function isCaptivePortal(status: number): boolean | undefined {
  if (status >= 500 && status !== STATUS_PORTAL) return undefined;
  return status !== STATUS_NO_CONTENT;
}
