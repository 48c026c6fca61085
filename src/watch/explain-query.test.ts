import { mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Programs } from '../plan/host.ts';
import { PROGRAM_NONE_FIRST } from '../plan/reserved.ts';
import type { ExplainQuery, ExplainWho, Explanation } from '../policy/explain.ts';
import { indexApps } from '../policy/match-app.ts';
import { mergePolicies } from '../policy/merge.ts';
import { parsePolicyFile } from '../policy/parse-file.ts';
import { builtinSystemDefault } from '../policy/validate-system-default.ts';
import { answerExplainQuery, type ExplainSources, UnknownSubject } from './explain-query.ts';

const FILE = '/etc/pointsman/policies/web.yaml';
const WEB = '/nowhere/web';
const WEB_UNIT = { path: '/system.slice/web.service', id: 7n, level: 2 };
const ACCEPT = 'accept:\n  - "lan:22/tcp"\n  - "192.0.2.0/24:22/tcp"\n  - "*:8080"\n';
const marked: Programs = { none: PROGRAM_NONE_FIRST, numbers: new Map([[`exec:${WEB}`, 5]]) };

interface Machine {
  readonly match?: string;
  readonly accept?: string;
  /** Absent: sockets are not marked. */
  readonly programs?: Programs;
  /** Another policy, about a user. */
  readonly names?: 'users';
}

function sources({ match = `exec: ${WEB}`, accept = ACCEPT, programs, names }: Machine): ExplainSources {
  const text = (app: string, by: string, rest: string): string =>
    `pointsman: 1\napp: ${app}\nmatch:\n  - ${by}\n${rest}`;
  const files = [
    [FILE, text('web', match, accept)],
    ...(names === undefined ? [] : [['/etc/pointsman/policies/guest.yaml', text('guest', 'user: 1001', '')]]),
  ] as const;
  const policies = files.map(([file = '', content = '']) => {
    const { policy, diagnostics } = parsePolicyFile(file, new TextEncoder().encode(content));
    if (policy === undefined) throw new Error(JSON.stringify(diagnostics));
    return policy;
  });
  const { apps } = mergePolicies([{ layer: 'administrator', policies }]);
  const policySet = { apps, uplinks: [], systemDefault: builtinSystemDefault };
  const facts = {
    uplinks: [],
    onLink: [],
    resolvers: [],
    names: new Map(),
    users: new Map(),
    groups: new Map(),
    packages: new Map(),
    containers: new Map(),
  };
  return {
    context: { policySet, index: indexApps(policySet), facts, nowMs: 0, unknownNames: 'queue' },
    host: { queue: 'nft', cgroups: [WEB_UNIT], ...(programs !== undefined && { programs }) },
    lookUp: async () => ({ kind: 'none' }),
  };
}

const connects = (machine: Machine, from: string, who: ExplainWho = { exe: WEB }, port = 22): Promise<Explanation> => {
  const query: ExplainQuery = { ...who, from, port, protocol: 'tcp' };
  return answerExplainQuery(sources(machine), query);
};

const pathOf = async (machine: Machine, who?: ExplainWho, from = '192.0.2.7'): Promise<string | undefined> =>
  (await connects(machine, from, who)).flows[0]?.path;

describe('answerExplainQuery', () => {
  it('answerExplainQuery names the entry by which somebody may connect', async () => {
    const explanation = await answerExplainQuery(sources({}), {
      exe: WEB,
      from: '192.0.2.7',
      fromPort: 50000,
      port: 22,
      protocol: 'tcp',
    });
    expect(explanation).toMatchObject({
      app: 'web',
      source: '192.0.2.7:50000',
      destination: 'port 22/tcp',
      flows: [
        {
          address: '192.0.2.7',
          verdict: 'accept',
          way: 'came in',
          file: FILE,
          line: 7,
          rules: [],
          accept: [
            { text: 'lan:22/tcp', line: 6, outcome: 'did not match' },
            { text: '192.0.2.0/24:22/tcp', line: 7, outcome: 'matched' },
            { text: '*:8080', line: 8, outcome: 'not reached' },
          ],
        },
      ],
    });
    const v6 = { app: 'web', from: '2001:db8::7', fromPort: 1, port: 8080, protocol: 'udp' } as const;
    expect(await answerExplainQuery(sources({}), v6)).toMatchObject({
      source: '[2001:db8::7]:1',
      destination: 'port 8080/udp',
      flows: [{ address: '2001:db8::7', verdict: 'accept', line: 8 }],
    });
  });

  it('answerExplainQuery names the accept that has no entry for who connects', async () => {
    const { source, flows } = await connects({}, '198.51.100.7');
    expect(source).toBe('198.51.100.7');
    expect(flows).toMatchObject([{ verdict: 'reject', cause: 'denied', file: FILE, line: 6 }]);
    expect(flows[0]?.accept?.map(({ outcome }) => outcome)).toEqual(Array(3).fill('did not match'));
  });

  it('answerExplainQuery says that nobody speaks of it', async () => {
    const { flows } = await connects({ accept: 'otherwise: deny\n' }, '192.0.2.7');
    expect(flows).toMatchObject([
      {
        verdict: 'accept',
        reason: 'it comes in, and no accept speaks of it',
        path: 'nothing in the kernel looks at it, because nobody states an accept',
      },
    ]);
    expect(flows[0]).not.toHaveProperty('accept');
    expect(flows[0]).not.toHaveProperty('file');
  });

  it('answerExplainQuery takes who connects from this machine itself for loopback', async () => {
    for (const from of ['127.0.0.1', '::1']) {
      const { flows } = await connects({}, from);
      expect(flows).toMatchObject([{ verdict: 'accept', way: 'directly connected' }]);
      expect(flows[0]?.accept?.map(({ outcome }) => outcome)).toEqual(Array(3).fill('not reached'));
      expect(flows[0]?.path).toBe('decided in the kernel (loopback)');
    }
  });

  it('answerExplainQuery says how the kernel comes to a decision about what comes in', async () => {
    const unit = { match: 'unit: web.service' };
    const other = { exe: '/nowhere/other' };
    expect(await pathOf({ programs: marked })).toBe('decided in the kernel (program map)');
    expect(await pathOf({ programs: marked }, other)).toBe('decided in the kernel (default)');
    const namesake = { exe: `/elsewhere/${WEB.slice(WEB.lastIndexOf('/') + 1)}` };
    expect(await pathOf({ programs: marked }, namesake)).toMatch(
      /^first packet goes to the daemon, because the program is called/,
    );
    expect(await pathOf({})).toContain('first packet goes to the daemon, because sockets are not marked here');
    expect(await pathOf(unit, { app: 'web' })).toBe('decided in the kernel (cgroup map)');
    expect(await pathOf(unit, other)).toBe('decided in the kernel (default)');
    expect(await pathOf({ ...unit, names: 'users' }, other)).toContain(
      'goes to the daemon, because policies name users',
    );
    expect(await pathOf({ ...unit, names: 'users' }, { app: 'web' })).toBe('decided in the kernel (cgroup map)');
  });

  it('answerExplainQuery asks for what would run, and not for what is named', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'explain-'));
    const put = (name: string, text: string): string => {
      writeFileSync(join(directory, name), text, { mode: 0o755 });
      return join(directory, name);
    };
    try {
      const script = put('script', '#!/bin/sh\n');
      const program = put('program', '\x7fELF');
      const inItsPlace = put('program.avx2', '\x7fELF');
      const plain = put('plain', '\x7fELF');
      const link = join(directory, 'link');
      symlinkSync('plain', link);
      const appOf = async (match: string, exe: string) => {
        const { app, identity } = await connects({ match }, '192.0.2.7', { exe });
        return `${app}: ${identity.split(': ')[0]?.replaceAll(`${directory}/`, '')}`;
      };
      const sh = realpathSync('/bin/sh');
      expect(await appOf(`exec: ${script}`, script)).toBe(`undefined: script (a script, which ${sh} runs)`);
      expect(await appOf(`script: ${script}`, script)).toBe(`web: script (a script, which ${sh} runs)`);
      // As the kernel comes by them: the first that is named tells.
      const outer = put('outer', `#!${put('inner', `#!${script} -x\n`)}\n`);
      const chain = `outer (a script, which inner runs, itself a script, which script runs, itself a script, which ${sh} runs)`;
      for (const each of ['outer', 'inner', 'script'])
        expect(await appOf(`script: ${join(directory, each)}`, outer)).toBe(`web: ${chain}`);
      expect(await appOf(`exec: ${sh}`, outer)).toBe(`web: ${chain}`);
      expect(await appOf(`script: ${outer}`, script)).toBe(`undefined: script (a script, which ${sh} runs)`);
      expect(await appOf(`exec: ${sh}`, script)).toBe(`web: script (a script, which ${sh} runs)`);
      expect(await appOf(`exec: ${program}`, program)).toBe(
        'undefined: program (which runs program.avx2 in its own place)',
      );
      expect(await appOf(`exec: ${inItsPlace}`, program)).toBe(
        'web: program (which runs program.avx2 in its own place)',
      );
      // A file by another name than the policy's.
      expect(await appOf(`exec: ${link}`, plain)).toBe('web: plain');
      expect(await appOf(`exec: ${plain}`, link)).toBe('web: link (plain)');
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('answerExplainQuery refuses a question about nobody, and from nowhere', async () => {
    await expect(connects({}, '192.0.2.7', { app: 'none' })).rejects.toThrow(UnknownSubject);
    await expect(connects({}, '192.0.2.7', { app: 'none' })).rejects.toThrow('pointsman status lists all');
    await expect(connects({}, '192.0.2.7', { app: 'wbe' })).rejects.toThrow('did you mean "web"?');
    await expect(connects({}, 'example.org')).rejects.toThrow('"example.org" is not an address');
  });
});
