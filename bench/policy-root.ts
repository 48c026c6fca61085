/** Writes the files that a daemon under load lives by: policies of many shapes, and those of the load programs. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CONNECT_PORT, SERVER_ADDRESS, SERVER_NETWORK, STREAM_PORT, UPLINKS } from './bench-world.ts';

/** Applications differ in who they are far more than in what they may do. */
export const RULE_SHAPES = 50;

/** The users that the load programs run as; each is an application. */
export const LOAD_USER = {
  plain: 10_001,
  /** By the uplink that the system's route takes anyway: marked and looked up again. */
  via: 10_002,
  /** By the other uplink: re-routed after its source was chosen, so masqueraded too. */
  viaOther: 10_003,
  /** Whose policy changes. */
  changing: 10_004,
} as const;
const FIRST_FILLER_USER = 20_000;

export interface PolicyRootOptions {
  /** Applications in all; those of LOAD_USER are among them. More, where there are more `executables` than that. */
  readonly apps: number;
  /** A program that one more policy names, with the rules of the load. */
  readonly executable?: string;
  /** Executables of the other applications, in their order; those for which there is none are told by user. */
  readonly executables?: readonly string[];
  /** Programs that one more policy names and sends out by this uplink: their sockets are marked for it. */
  readonly routed?: { readonly executables: readonly string[]; readonly by: (typeof UPLINKS)[number] };
  /** What one more policy's programs are called, which are not there: others of these names are asked about. */
  readonly namesakes?: readonly string[];
  /** A script that one more policy names. */
  readonly script?: string;
  /** A program with a policy that prefers the first uplink, as then all others do whose executables are given. */
  readonly moving?: string;
  /** No uplink files, and no policy with a `via`: a machine on which Pointsman only allows and denies. */
  readonly withoutWays?: true;
}

/** `rootDir` is what `pointsman up --root` gets. */
export async function writePolicyRoot(rootDir: string, options: PolicyRootOptions): Promise<void> {
  const { apps, executables = [] } = options;
  const hasWays = options.withoutWays !== true;
  const uplinksDir = join(rootDir, 'etc/pointsman/uplinks');
  await mkdir(uplinksDir, { recursive: true });
  await mkdir(join(rootDir, 'etc/pointsman/policies'), { recursive: true });
  for (const { name, type } of hasWays ? UPLINKS : []) {
    await writeFile(
      join(uplinksDir, `${name}.yaml`),
      `pointsman: 1\nuplink: ${name}\ndevice: ${name}\ntype: ${type}\n`,
    );
  }
  const policies = loadPolicies(options, hasWays);
  const fillers = Math.max(apps - policies.size, executables.length);
  for (const [app, text] of policies) await writeFile(policyPath(rootDir, app), text);
  for (let i = 0; i < fillers; i += 1) {
    const app = `org.example.App${i}`;
    const executable = executables[i];
    const match = executable === undefined ? `user: ${FIRST_FILLER_USER + i}` : `exec: ${executable}`;
    const via = options.moving === undefined || executable === undefined ? [] : [PREFER_MAIN];
    await writeFile(policyPath(rootDir, app), policy(app, match, [...via, ...shape(i, hasWays)]));
  }
}

/** The policy of `LOAD_USER.changing`; a new file in the place of the old one. */
export async function writeChangingPolicy(rootDir: string, verb: 'allow' | 'deny'): Promise<void> {
  await writeFile(policyPath(rootDir, CHANGING_APP), changingPolicy(verb));
}

const PREFER_MAIN = `via: { prefer: { type: ${UPLINKS[0].type} } }`;
const CHANGING_APP = 'org.example.Changing';

function policyPath(rootDir: string, app: string): string {
  return join(rootDir, 'etc/pointsman/policies', `${app}.yaml`);
}

function loadPolicies(
  { executable, namesakes, script, moving, routed }: PolicyRootOptions,
  hasWays: boolean,
): ReadonlyMap<string, string> {
  const [main, second] = UPLINKS;
  const via = (type: string): string => `via: { require: { type: ${type} }, else: block }`;
  return new Map([
    ['org.example.Plain', policy('org.example.Plain', `user: ${LOAD_USER.plain}`, loadRules())],
    ...(hasWays
      ? ([
          ['org.example.Via', policy('org.example.Via', `user: ${LOAD_USER.via}`, loadRules(via(main.type)))],
          [
            'org.example.Other',
            policy('org.example.Other', `user: ${LOAD_USER.viaOther}`, loadRules(via(second.type))),
          ],
        ] as const)
      : []),
    [CHANGING_APP, changingPolicy('deny')],
    ...(executable === undefined
      ? []
      : [['org.example.Program', policy('org.example.Program', `exec: ${executable}`, loadRules())] as const]),
    ...(namesakes === undefined
      ? []
      : [['org.example.Namesakes', policy('org.example.Namesakes', namesakePaths(namesakes), loadRules())] as const]),
    ...(routed === undefined
      ? []
      : [
          [
            'org.example.Routed',
            policy(
              'org.example.Routed',
              routed.executables.map((path) => `exec: ${path}`).join('\n  - '),
              loadRules(via(routed.by.type)),
            ),
          ] as const,
        ]),
    ...(moving === undefined
      ? []
      : [['org.example.Moving', policy('org.example.Moving', `exec: ${moving}`, loadRules(PREFER_MAIN))] as const]),
    ...(script === undefined
      ? []
      : [['org.example.Script', policy('org.example.Script', `script: ${script}`, loadRules())] as const]),
  ]);
}

const namesakePaths = (names: readonly string[]): string =>
  names.map((name) => `exec: /opt/example/${name}`).join('\n  - ');

const changingPolicy = (verb: 'allow' | 'deny'): string =>
  policy(CHANGING_APP, `user: ${LOAD_USER.changing}`, ['rules:', `  - { to: "${SERVER_ADDRESS}", do: ${verb} }`]);

function policy(app: string, match: string, rest: readonly string[]): string {
  return ['pointsman: 1', `app: ${app}`, 'match:', `  - ${match}`, ...rest, ''].join('\n');
}

/** Two rules are passed before the one that allows the load. */
function loadRules(via?: string): string[] {
  return [
    ...(via === undefined ? [] : [via]),
    'rules:',
    '  - to: ["192.0.2.25:993", "192.0.2.26:465"]',
    '    do: allow',
    '  - to: lan',
    '    do: deny',
    `  - to: ["${SERVER_NETWORK}:${CONNECT_PORT}-${STREAM_PORT}"]`,
    '    do: allow',
    'otherwise: deny',
  ];
}

/** What people write: some servers of one's own, the local network or not, the web or not, an uplink or any. */
function shape(app: number, hasWays: boolean): string[] {
  const i = app % RULE_SHAPES;
  const servers = [`192.0.2.${i}:993`, `198.51.100.${i}:465`, `"[2001:db8:${i}::1]:443"`].slice(0, 1 + (i % 3));
  const via = hasWays && i % 5 === 0 ? ['    via: { avoid: { metered: true }, else: any }'] : [];
  return [
    'rules:',
    `  - to: [${servers.map((server) => (server.startsWith('"') ? server : `"${server}"`)).join(', ')}]`,
    '    do: allow',
    ...via,
    '  - to: lan',
    `    do: ${i % 2 === 0 ? 'deny' : 'allow'}`,
    ...(i % 4 === 0 ? [`  - to: ["10.${i}.0.0/16", "*:53"]`, '    do: drop'] : []),
    '  - to: ["*:80", "*:443"]',
    '    do: allow',
    `otherwise: ${i % 3 === 0 ? 'allow' : 'deny'}`,
  ];
}
