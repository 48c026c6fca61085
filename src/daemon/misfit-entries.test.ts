import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PolicySet } from '../policy/effective-policy.ts';
import { mergePolicies } from '../policy/merge.ts';
import { parsePolicyFile } from '../policy/parse-file.ts';
import { builtinSystemDefault } from '../policy/validate-system-default.ts';
import { MAX_ENTRIES_PER_LOOK, MisfitEntries } from './misfit-entries.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'misfits-'));
});

afterEach(() => rmSync(directory, { recursive: true }));

function put(name: string, text: string): string {
  writeFileSync(join(directory, name), text, { mode: 0o755 });
  return join(directory, name);
}

function policySet(...entries: readonly string[]): PolicySet {
  const text = `pointsman: 1\napp: web\nmatch:\n${entries.map((entry) => `  - ${entry}\n`).join('')}`;
  const { policy, diagnostics } = parsePolicyFile('web.yaml', new TextEncoder().encode(text));
  if (policy === undefined) throw new Error(JSON.stringify(diagnostics));
  const { apps } = mergePolicies([{ layer: 'administrator', policies: [policy] }]);
  return { apps, uplinks: [], systemDefault: builtinSystemDefault };
}

describe('MisfitEntries', () => {
  it('MisfitEntries names the place of an entry until it is right, and of what is missing in diagnostics alone', () => {
    const script = put('script', '#!/bin/sh\n');
    const misfits = new MisfitEntries();
    const wrong = policySet(
      'user: nobody-here',
      'exec: /nowhere/at/all',
      'unit: ssshd.service',
      'package: no-such-package',
      `exec: ${script}`,
    );
    misfits.look(wrong, ['web']);
    expect(misfits.look(wrong)).toMatchObject({
      message: expect.stringContaining(`web.yaml:8:5: ${script} is a script`),
      hint: `name it so: script: ${script}`,
    });
    const said = (): readonly string[] => misfits.diagnostics.map(({ code, message }) => `${code} ${message}`);
    const missing = [
      'misfit-match /etc/passwd has no user nobody-here',
      'misfit-match there is no /nowhere/at/all here',
      'misfit-match systemd has no unit ssshd.service here',
      expect.stringMatching(/^misfit-match package no-such-package is not installed here$/),
    ];
    expect(said()).toEqual([...missing, expect.stringMatching(/script is a script/)]);
    put('script', '\x7fELF');
    expect(misfits.look(wrong)).toBeUndefined();
    expect(said()).toEqual(missing);
    put('script', '#!/bin/sh\n');
    expect(misfits.look(wrong)).toBeDefined();
    expect(misfits.look(policySet(`script: ${script}`))).toBeUndefined();
  });

  it('MisfitEntries looks at a few each time, and at all in turn', () => {
    const script = put('script', '#!/bin/sh\n');
    const many = Array.from({ length: MAX_ENTRIES_PER_LOOK }, (_, i) => `exec: /nowhere/${i}`);
    const misfits = new MisfitEntries();
    const set = policySet(...many, `exec: ${script}`);
    expect(misfits.look(set)).toBeUndefined();
    expect(misfits.look(set)).toBeDefined();
    // What was found stays while others are looked at.
    expect(misfits.look(set)).toBeDefined();
  });
});
