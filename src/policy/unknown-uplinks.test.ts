import { describe, expect, it } from 'vitest';
import { mergePolicies } from './merge.ts';
import type { Uplink, Via } from './model.ts';
import { unknownUplinks } from './unknown-uplinks.ts';
import { builtinSystemDefault } from './validate-system-default.ts';

const at = (line: number) => ({ file: '/p/a', line, column: 3 });
const via = (line: number, name: string): Via => ({
  require: {},
  prefer: { name: [name] },
  avoid: {},
  prohibit: {},
  else: 'any',
  at: at(line),
});
const wifi: Uplink = {
  name: 'wifi',
  device: 'wlan0',
  priority: 100,
  properties: { type: 'wifi', metered: false, roaming: false, trusted: false, encrypted: false },
  gateways: {},
  at: { file: '/u/wifi', line: 1, column: 1 },
};

const DISCOVERED = 'it counts only while a device of this name is found: see pointsman uplinks';

describe('unknownUplinks', () => {
  it('unknownUplinks names each `via` with an uplink that is not there, and what may have been meant', () => {
    const { apps } = mergePolicies([
      {
        layer: 'package',
        policies: [
          {
            app: 'a',
            match: [],
            rules: [
              { to: [], do: 'allow', via: via(4, 'wifi'), at: at(3) },
              { to: [], do: 'allow', via: via(6, 'wify'), at: at(5) },
            ],
            via: via(8, 'cellular'),
            file: '/p/a',
            at: at(1),
          },
        ],
      },
    ]);
    const systemDefault = { ...builtinSystemDefault, via: via(99, 'nowhere') };
    const found = unknownUplinks({ apps, uplinks: [wifi], systemDefault });
    expect(found.map(({ line, message, hint }) => [line, message, hint])).toEqual([
      [99, 'no file describes an uplink "nowhere"', DISCOVERED],
      [8, 'no file describes an uplink "cellular"', DISCOVERED],
      [6, 'no file describes an uplink "wify"', 'did you mean "wifi"?'],
    ]);
    const onlyFiles = { ...systemDefault, uplinks: 'files' as const };
    expect(unknownUplinks({ apps, uplinks: [wifi], systemDefault: onlyFiles }).map(({ hint }) => hint)).toEqual([
      undefined,
      undefined,
      'did you mean "wifi"?',
    ]);
  });
});
