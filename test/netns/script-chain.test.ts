/** Scripts whose interpreter is itself a script: the script that was started tells, not the one that the kernel comes to in the end. */
import { execFile, execFileSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Machine } from './daemon/machine.ts';
import { DEVICE, NET, type Root, SERVER4, SERVER6 } from './daemon/world.ts';

const PORT = 83;
const ROUNDS = 3;
const SEND = `#!/usr/bin/python3
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[-1] else socket.AF_INET
client = socket.socket(family, socket.SOCK_DGRAM)
client.settimeout(6)
try:
    client.connect((sys.argv[-1], ${PORT}))
    client.send(b"x\\n")
    client.recv(100)
except OSError:
    pass
`;

let root: Root;
let machine: Machine;
const at = (name: string): string => join(root.dir, 'opt', name);

function script(name: string, text: string): string {
  root.write(`opt/${name}`, text);
  chmodSync(at(name), 0o755);
  return at(name);
}

function counted(): number {
  const reset = ['nft', '-j', 'reset', 'counter', 'inet', 'arrivals', 'came'];
  const text = execFileSync('nsenter', [`--net=/run/netns/${NET}`, ...reset], { encoding: 'utf8' });
  const { nftables } = JSON.parse(text) as { readonly nftables: readonly { readonly counter?: { packets: number } }[] };
  return nftables.reduce((sum, { counter }) => sum + (counter?.packets ?? 0), 0);
}

/** Packets at the other end of so many starts. */
async function arrived(command: readonly string[], host: string): Promise<number> {
  for (let round = 0; round < ROUNDS; round += 1) {
    await new Promise<void>((resolve, reject) => {
      execFile('nsenter', [`--net=/run/netns/${DEVICE}`, ...command, host], (error) =>
        error === null ? resolve() : reject(error),
      );
    });
  }
  return counted();
}

beforeAll(async () => {
  machine = await Machine.build();
  ({ root } = machine);
  const chain = 'chain c {\ntype filter hook prerouting priority -400;\n';
  execFileSync('nsenter', [`--net=/run/netns/${NET}`, 'nft', '-f', '-'], {
    input: `table inet arrivals {\ncounter came {}\n${chain}udp dport ${PORT} counter name came\n}\n}\n`,
  });
  script('runner.py', SEND);
  script('middle', `#!${at('runner.py')} -x\n`);
  script('stated.py', SEND);
  const odd = Buffer.from(`${at('o')}\xf9`, 'latin1');
  writeFileSync(odd, SEND, { mode: 0o755 });
  writeFileSync(at('odd'), Buffer.concat([Buffer.from('#!'), odd, Buffer.from('\n')]), { mode: 0o755 });
  const policies = {
    odd: at('odd'),
    denied: script('denied', `#!${at('runner.py')}\n`),
    nested: script('nested', `#!${at('middle')} --quiet\n`),
    stated: at('stated.py'),
    inner: script('inner', `#!${at('stated.py')}\n`),
    outer: script('outer', `#!${script('inner-named', `#!${at('runner.py')}\n`)}\n`),
    'inner-named': at('inner-named'),
    far: script('far', `#!${script('où/runner.py', SEND)}\n`),
    package: script('package/__main__.py', SEND),
  };
  script('free', `#!${at('runner.py')}\n`);
  for (const [app, path] of Object.entries(policies)) {
    const verb = app === 'stated' || app === 'inner-named' ? 'allow' : 'deny';
    const head = `pointsman: 1\napp: ${app}\nmatch: [{ script: ${path} }]\n`;
    root.write(`etc/pointsman/policies/${app}.yaml`, `${head}otherwise: ${verb}\n`);
  }
  await machine.startDaemon();
});

afterAll(() => machine?.[Symbol.asyncDispose]());

describe.each([SERVER4, SERVER6])('a script that a script interprets, to %s', (host) => {
  it.each([
    ['is told by its own name', () => [at('denied')], 0],
    ['is told where its interpreter is given it', () => [at('runner.py'), at('denied')], 0],
    ['is told over several of them, with options', () => [at('nested')], 0],
    ['comes before its interpreter, which is named, too', () => [at('inner')], 0],
    ['comes before one on the way, which is named, too', () => [at('outer')], 0],
    ['says nothing of one on the way, run by itself', () => [at('inner-named')], ROUNDS],
    ['is told where the name of its interpreter is no ASCII', () => [at('far')], 0],
    ['is told where the name of its interpreter is no UTF-8', () => [at('odd')], 0],
    ['says nothing of its interpreter, run by itself', () => [at('stated.py')], ROUNDS],
    ['says nothing of another script of that', () => [at('free')], ROUNDS],
    ['says nothing of what that runs without a script', () => [at('runner.py')], ROUNDS],
    ['says nothing where another script comes first', () => [at('free'), at('denied')], ROUNDS],
  ])('%s', async (_what, command, want) => {
    expect(await arrived(command(), host)).toBe(want);
  });

  it('python3 DIR is told by the script in the directory as long as that has to be read', async () => {
    expect(await arrived(['/usr/bin/python3', '-B', at('package')], host)).toBe(0);
  });
});
