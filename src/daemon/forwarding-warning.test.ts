import { describe, expect, it } from 'vitest';
import { parseSystemDefaultFile } from '../policy/parse-file.ts';
import { forwardingWarning } from './forwarding-warning.ts';

function warned(text: string, forwarded: readonly (4 | 6)[]): string | undefined {
  const { systemDefault, diagnostics } = parseSystemDefaultFile('default.yaml', new TextEncoder().encode(text));
  if (systemDefault === undefined) throw new Error(JSON.stringify(diagnostics));
  return forwardingWarning(systemDefault, forwarded)?.message;
}

describe('forwardingWarning', () => {
  it('forwardingWarning speaks of a default that refuses or sends by an uplink, where others are forwarded for', () => {
    expect(warned('pointsman: 1\notherwise: deny\n', [4])).toMatch(
      /^the default says deny, and this machine forwards IPv4 for others/,
    );
    expect(warned('pointsman: 1\notherwise: drop\n', [4, 6])).toMatch(/^the default says drop, .* IPv4 and IPv6 /);
    expect(warned('pointsman: 1\notherwise: allow\nvia: { require: { type: vpn } }\n', [6])).toMatch(
      /^the default has a via, /,
    );
  });

  it('forwardingWarning says nothing where the default lets all go their way, or nobody is forwarded for', () => {
    expect(warned('pointsman: 1\notherwise: allow\n', [4, 6])).toBeUndefined();
    expect(warned('pointsman: 1\notherwise: deny\n', [])).toBeUndefined();
  });
});
