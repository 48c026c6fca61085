// Runs the verdict thread in the network namespace it is started in; speaks JSON lines. First argument: the queue.
// In: {"op":"publish","name":ADDRESS|null,"whenAway":"open"|"closed"} {"op":"stats"} {"op":"stop"}. Out: ready, published, event, resolve, stats, refused, exit.
import { createInterface } from 'node:readline';
import { VerdictChannel } from '../../dist/daemon/verdict-channel.js';
import { Background } from '../../dist/kernel/background.js';
import { systemClock } from '../../dist/kernel/system-clock.js';
import { parseAddress } from '../../dist/net/address.js';

const at = { file: 'perl.yaml', line: 1, column: 1 };
const layer = 'administrator';
const port = (number) => [{ first: number, last: number }];
const rule = (text, target, number, verb) => ({ to: [{ text, target, ports: port(number), at }], do: verb, at, layer });
const any = { kind: 'any' };
const deny = { do: 'deny', at };
const policySet = {
  apps: [
    {
      app: 'org.perl.Test',
      match: [{ kind: 'exec', value: '/usr/bin/perl', at }],
      rules: [
        rule('*:80', any, 80, 'allow'),
        rule('*:25', any, 25, 'deny'),
        rule('named:993', { kind: 'name', name: 'named' }, 993, 'allow'),
      ],
      otherwise: { value: { do: 'drop', at }, layer },
      files: [],
    },
  ],
  systemDefault: { otherwise: deny, unknown: deny, whenAway: 'closed' },
  uplinks: [],
};
const say = (message) =>
  process.stdout.write(`${JSON.stringify(message, (_, value) => (typeof value === 'bigint' ? `${value}` : value))}\n`);

let revision = 0;
function snapshot(name, whenAway = 'closed') {
  const addresses =
    typeof name !== 'string' ? [] : [{ address: parseAddress(name), expiresAtMs: systemClock.monotonicMs() + 60_000 }];
  const names = name === undefined ? new Map() : new Map([['named', { known: true, addresses }]]);
  const facts = {
    uplinks: [],
    onLink: [],
    resolvers: [],
    names,
    users: new Map(),
    groups: new Map(),
    packages: new Map(),
    containers: new Map(),
  };
  const systemDefault = { ...policySet.systemDefault, whenAway };
  return {
    revision: ++revision,
    policySet: { ...policySet, systemDefault },
    facts,
    appIds: new Map([['org.perl.Test', 7]]),
  };
}

try {
  const channel = await VerdictChannel.start({
    background: new Background((fault) => say({ kind: 'fault', message: String(fault) })),
    queueNumber: Number(process.argv[2]),
    snapshot: snapshot(undefined),
    onEvents: ({ events }) => {
      for (const event of events) say({ kind: 'event', event });
    },
    onResolveName: (name) => say({ kind: 'resolve', name }),
    onExit: (error) => say({ kind: 'exit', message: error.message }),
  });
  say({ kind: 'ready' });
  for await (const line of createInterface({ input: process.stdin })) {
    const request = JSON.parse(line);
    if (request.op === 'publish') {
      channel.publish(snapshot(request.name, request.whenAway));
      await channel.published(revision);
      say({ kind: 'published', revision });
    }
    if (request.op === 'stats') say({ kind: 'stats', stats: await channel.stats() });
    if (request.op === 'stop') break;
  }
  await channel.close();
} catch (error) {
  say({ kind: 'refused', code: error.code, message: error.message });
}
