/** A generated machine (`test/ways/`) in network namespaces: its links with routers at their ends, its routes and rules, and a plan. */
import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type Address, formatAddress, formatPrefix } from '../../../src/net/address.ts';
import { MAIN_TABLE, type Route, type RoutingRule } from '../../../src/plan/machine/machine.ts';
import { renderRuleset } from '../../../src/plan/nft/render.ts';
import { renderPlannedRoute, renderPlannedRule } from '../../../src/plan/render-routing.ts';
import { address, LINKS, type Link } from '../../ways/generated-machine.ts';
import { DESTINATIONS, RESOLVERS } from '../../ways/generated-policy.ts';
import type { World } from '../../ways/judge-way.ts';
import { AnsweringProgram } from './answering-program.ts';

const SENDER = fileURLToPath(new URL('./way-sender.py', import.meta.url));
const WITNESS = fileURLToPath(new URL('./way-witness.py', import.meta.url));
const PYTHON = '/usr/bin/python3';
const RULE_MAIN = 32_766;

/** What a socket is to be like. */
export interface SendRequest {
  readonly sending: string;
  readonly family: 4 | 6;
  readonly destination: string;
  readonly port: number;
  readonly mark: number;
  readonly uid: number;
  readonly bound?: string;
  /** SO_BINDTODEVICE. */
  readonly device?: string;
}

/** Somebody's table that translates a destination. */
const OTHERS = 'others';

export interface SendAnswer {
  readonly ok: boolean;
  readonly error?: string;
  readonly own?: string;
}

/** What arrived at the other end of a link. */
export interface Seen {
  readonly device: string;
  /** MAC address that it was sent to: each router has its own. */
  readonly router: string;
  readonly source: string;
  readonly destination: string;
  readonly port: number;
}

class Sender extends AnsweringProgram<SendAnswer> {
  constructor(namespace: string) {
    super(['nsenter', `--net=/run/netns/${namespace}`, PYTHON, SENDER, ...LINKS.map(({ device }) => device)]);
  }

  send(request: SendRequest & { readonly number: number }): Promise<SendAnswer> {
    return this.request(request);
  }
}

function batch(namespace: string, lines: readonly string[], family?: 4 | 6): void {
  const options = family === undefined ? [] : [`-${family}`];
  const enter = ['nsenter', `--net=/run/netns/${namespace}`, 'ip'];
  execFileSync('/usr/bin/env', [...enter, ...options, '-batch', '-'], { input: `${lines.join('\n')}\n` });
}

/** Commands as `ip -4 rule add`, of which a batch has one family. */
function batchByFamily(namespace: string, commands: readonly string[]): void {
  for (const family of [4, 6] as const) {
    const here = commands.filter((command) => command.startsWith(`ip -${family} `));
    batch(
      namespace,
      here.map((command) => command.slice(`ip -${family} `.length)),
      family,
    );
  }
}

/** Of whoever is on the link and no router. */
const NEIGHBOUR = '02:00:00:00:aa:aa';

/** The MAC address of who has this address: each router has its own. */
export function macOf(nextHop: Address): string {
  const low = Number(nextHop.value & 0xffffn);
  const link = LINKS.findIndex(({ v4, v6 }) =>
    [v4, v6].some((one) => [one.gateway, one.otherRouter].includes(formatAddress(nextHop))),
  );
  return link < 0 ? NEIGHBOUR : `02:00:00:${hex(link)}:${hex(low >> 8)}:${hex(low & 255)}`;
}
const hex = (value: number): string => (value & 255).toString(16).padStart(2, '0');

const SYSCTLS = [
  'net/ipv4/conf/all/rp_filter 0',
  'net/ipv4/conf/default/rp_filter 0',
  'net/ipv6/conf/all/disable_ipv6 0',
  'net/ipv6/conf/default/disable_ipv6 0',
  'net/ipv6/conf/default/accept_ra 0',
  'net/ipv6/conf/default/accept_dad 0',
];

function addressLines({ device, v4, v6 }: Link, world: World): string[] {
  const there = world.before.devices.find(({ name }) => name === device)?.addresses ?? [];
  const known = [...v4.addresses, ...v6.addresses];
  return there
    .map(formatAddress)
    .filter((text) => known.includes(text))
    .map((text) => `addr add ${text}/${text.includes(':') ? '64 nodad' : '24'} dev ${device} noprefixroute`);
}

/** The routers, and whoever is on the link: nobody has to be asked for. */
function neighbourLines({ device, v4, v6 }: Link, world: World): string[] {
  return [v4, v6].flatMap((one) => {
    const routers = [one.gateway, one.otherRouter];
    const family = one === v4 ? 4 : 6;
    if (
      !world.before.devices.some(({ name, addresses }) => name === device && addresses.some((a) => a.family === family))
    )
      return [];
    const hosts = [...DESTINATIONS, ...RESOLVERS]
      .filter((one) => one.family === family)
      .map(formatAddress)
      .filter((text) => !routers.includes(text));
    return [
      ...routers.map((text) => `neigh replace ${text} lladdr ${macOf(address(text))} dev ${device} nud permanent`),
      ...hosts.map((text) => `neigh replace ${text} lladdr ${NEIGHBOUR} dev ${device} nud permanent`),
    ];
  });
}

function routeLine(table: number, { destination, metric, target }: Route): string {
  if (target.kind === 'throw') throw new Error('only plans throw');
  return [
    `ip -${destination.address.family} route add ${formatPrefix(destination)}`,
    ...(target.gateway === undefined ? [] : [`via ${formatAddress(target.gateway)}`]),
    `dev ${target.device}`,
    ...(target.gateway === undefined || target.gateway.family === 6 ? [] : ['onlink']),
    ...(target.source === undefined ? [] : [`src ${formatAddress(target.source)}`]),
    `table ${table} metric ${metric}`,
  ].join(' ');
}

function ruleLine({ family, priority, invert, fwmark, from, suppressPrefixLength, action }: RoutingRule): string {
  return [
    `ip -${family} rule add${invert ? ' not' : ''} pref ${priority} from ${from === undefined ? 'all' : formatPrefix(from)}`,
    ...(fwmark === undefined ? [] : [`fwmark ${fwmark.mark}/${fwmark.mask}`]),
    action.kind === 'table' ? `lookup ${action.table}` : 'unreachable',
    ...(suppressPrefixLength === undefined ? [] : [`suppress_prefixlength ${suppressPrefixLength}`]),
  ].join(' ');
}

/** With devices by name. */
const planned = (command: string): string =>
  LINKS.reduce((text, { index, device }) => text.replace(`dev if${index} `, `dev ${device} `), command);

export class WayWorld implements AsyncDisposable {
  readonly #device: string;
  readonly #net: string;
  readonly #world: World;
  #sender: Sender | undefined;
  #witness: ChildProcessWithoutNullStreams | undefined;
  #witnessEnded: Promise<never> = new Promise(() => undefined);
  #seen: Seen[] = [];
  readonly #markers = new Map<number, number>();
  #changed: () => void = () => undefined;
  #number = 0;

  private constructor(world: World, tag: string) {
    this.#world = world;
    this.#device = `${tag}-device`;
    this.#net = `${tag}-net`;
  }

  static async build(world: World, tag: string): Promise<WayWorld> {
    const built = new WayWorld(world, tag);
    try {
      built.#makeNetwork();
      built.#loadPlan();
      await built.#startPrograms();
      return built;
    } catch (error) {
      await built[Symbol.asyncDispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sender?.[Symbol.asyncDispose]();
    this.#witness?.kill('SIGKILL');
    for (const namespace of [this.#device, this.#net])
      execFileSync('sh', ['-c', 'ip netns del "$1" 2>/dev/null || true', 'sh', namespace]);
  }

  /** What the program is told, and everything that arrived at the other ends because of it. */
  async send(
    request: SendRequest,
    translatedTo?: string,
  ): Promise<{ readonly answer: SendAnswer; readonly seen: readonly Seen[] }> {
    if (this.#sender === undefined) throw new Error('not built');
    this.#number += 1;
    const number = this.#number;
    this.#seen = [];
    if (translatedTo !== undefined) this.#translate(request.destination, translatedTo);
    const answer = await this.#sender.send({ ...request, number });
    while ((this.#markers.get(number) ?? 0) < LINKS.length)
      await Promise.race([
        this.#witnessEnded,
        new Promise<void>((resolve) => {
          this.#changed = resolve;
        }),
      ]);
    if (translatedTo !== undefined) this.#nft(`delete table inet ${OTHERS}`);
    const to = translatedTo ?? request.destination;
    const seen = this.#seen.filter(
      ({ destination, port }) => destination === to && (port === 0 || port === request.port),
    );
    return { answer, seen };
  }

  #translate(from: string, to: string): void {
    const header = from.includes(':') ? 'ip6' : 'ip';
    const rule = `${header} daddr ${from} dnat ${header} to ${to}`;
    this.#nft(`table inet ${OTHERS} {\n chain output {\n type nat hook output priority -100\n ${rule}\n}\n}\n`);
  }

  #nft(input: string): void {
    execFileSync('nsenter', [`--net=/run/netns/${this.#device}`, 'nft', '-f', '-'], { input });
  }

  #makeNetwork(): void {
    const world = this.#world;
    for (const namespace of [this.#device, this.#net]) {
      execFileSync('ip', ['netns', 'add', namespace]);
      const script = SYSCTLS.map((line) => line.split(' ')).map(([name, value]) => `echo ${value} > /proc/sys/${name}`);
      execFileSync('nsenter', [`--net=/run/netns/${namespace}`, 'sh', '-c', script.join('; ')]);
      batch(namespace, ['link set lo up']);
    }
    execFileSync('nsenter', [
      `--net=/run/netns/${this.#device}`,
      'sh',
      '-c',
      'echo "0 2147483647" > /proc/sys/net/ipv4/ping_group_range',
    ]);
    batch(
      this.#device,
      LINKS.map(({ device }) => `link add ${device} type veth peer name ${device} netns ${this.#net}`),
    );
    batch(
      this.#net,
      LINKS.map(({ device }) => `link set ${device} up`),
    );
    batch(this.#device, [
      ...LINKS.map(({ device }) => `link set ${device} up`),
      ...LINKS.flatMap((link) => addressLines(link, world)),
      ...LINKS.flatMap((link) => neighbourLines(link, world)),
    ]);
    batchByFamily(this.#device, [
      ...[...world.before.tables].flatMap(([table, routes]) => routes.map((route) => routeLine(table, route))),
      ...world.before.rules.filter(({ priority }) => priority !== RULE_MAIN).map(ruleLine),
    ]);
    if (!world.before.tables.has(MAIN_TABLE)) throw new Error('a machine without a main table');
  }

  #loadPlan(): void {
    const { plan } = this.#world;
    batchByFamily(
      this.#device,
      [...plan.routes.map(renderPlannedRoute), ...plan.rules.map(renderPlannedRule)].map(planned),
    );
    this.#nft(renderRuleset(plan.nft, 0));
  }

  async #startPrograms(): Promise<void> {
    const witness = spawn('nsenter', [`--net=/run/netns/${this.#net}`, PYTHON, WITNESS]);
    this.#witness = witness;
    let errors = '';
    witness.stderr.on('data', (chunk: Buffer) => {
      errors += chunk.toString();
    });
    this.#witnessEnded = new Promise((_, reject) => {
      witness.once('close', (code) => reject(new Error(`the witness ended with ${code}\n${errors}`)));
    });
    // Whoever waits for it hears of it.
    this.#witnessEnded.catch(() => undefined);
    const lines = createInterface({ input: witness.stdout });
    await Promise.race([this.#witnessEnded, new Promise((resolve) => lines.once('line', resolve))]);
    lines.on('line', (line) => {
      const told = JSON.parse(line) as Seen | { readonly marker: number };
      if ('marker' in told) this.#markers.set(told.marker, (this.#markers.get(told.marker) ?? 0) + 1);
      else this.#seen.push(told);
      this.#changed();
    });
    this.#sender = new Sender(this.#device);
  }
}
