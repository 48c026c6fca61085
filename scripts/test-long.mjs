// npm run test:long: 1,000 random schedules (test/schedules), 500 generated packets on the kernel (test/ways) and 1,000 cgroups made anew in each
// case of test/netns/renewed-cgroup.test.ts; needs root, and hours. It can
// be ended and started again: what is done stands in dist/long/COMMIT.jsonl. At the end test/long/log.md says what was run and found, for
// this commit; that page is the proof, and is committed.
//
//     POINTSMAN_LONG_SCHEDULES=100 POINTSMAN_WAYS=50 POINTSMAN_RENEWALS=100 npm run test:long      fewer; seeds are those of the commit unless POINTSMAN_SCHEDULE_SEED says another first one
import { execFileSync, spawnSync } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const LOG = join(root, 'test/long/log.md');
const SCHEDULES = Number(process.env.POINTSMAN_LONG_SCHEDULES ?? 1000);
const WAYS = Number(process.env.POINTSMAN_WAYS ?? 500);
const WAYS_AT_A_TIME = 50;
const RENEWALS = Number(process.env.POINTSMAN_RENEWALS ?? 1000);
const SEEDS = 1_000_000;
const KINDS = ['astray', 'refused', 'lost', 'silent'];

const git = (...args) => execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim();

const commit = git('rev-parse', 'HEAD');
const changed = git('status', '--porcelain', '--', '.', ':!test/long/log.md');
if (changed !== '') {
  console.error(`what is run has to be a commit, and the tree is changed:\n${changed}`);
  process.exit(2);
}
const first = Number(process.env.POINTSMAN_SCHEDULE_SEED ?? Number.parseInt(commit.slice(0, 8), 16) % SEEDS);
const last = first + SCHEDULES - 1;
const state = join(root, 'dist/long', `${commit}.jsonl`);
mkdirSync(dirname(state), { recursive: true });

const lines = () =>
  (existsSync(state) ? readFileSync(state, 'utf8').split('\n').filter(Boolean) : []).map((line) => JSON.parse(line));

function vitest(args, env) {
  const run = spawnSync(join(root, 'node_modules/.bin/vitest'), ['run', ...args], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, ...env },
  });
  if (run.signal !== null) process.exit(1);
  return run.status === 0;
}

console.error(`schedules ${first} to ${last} of ${commit.slice(0, 12)}; what is done stands in ${state}`);
vitest(['--project', 'long'], { POINTSMAN_LONG_STATE: state, POINTSMAN_LONG_SEEDS: `${first}-${last}` });
for (let at = 0; at < WAYS; at += WAYS_AT_A_TIME) {
  const seed = first + at / WAYS_AT_A_TIME;
  if (lines().some(({ waysSeed, ok }) => waysSeed === seed && ok)) continue;
  const count = Math.min(WAYS_AT_A_TIME, WAYS - at);
  const ok = vitest(['--project', 'netns', 'test/netns/way-of-packets.test.ts'], {
    POINTSMAN_WAYS: `${count}`,
    POINTSMAN_SEED: `${seed}`,
  });
  appendFileSync(state, `${JSON.stringify({ waysSeed: seed, count, ok })}\n`);
}

if (!lines().some(({ renewals, ok }) => renewals === RENEWALS && ok)) {
  const ok = vitest(['--project', 'netns', 'test/netns/renewed-cgroup.test.ts'], { POINTSMAN_RENEWALS: `${RENEWALS}` });
  appendFileSync(state, `${JSON.stringify({ renewals: RENEWALS, ok })}\n`);
}

/** The last word on each, where one was tried again. */
const latest = (all, key) => [
  ...new Map(all.filter((line) => line[key] !== undefined).map((line) => [line[key], line])).values(),
];
const inRange = ({ seed }) => seed >= first && seed <= last;
const trials = latest(lines(), 'seed').filter(inRange);
const run = trials.filter(({ error }) => error === undefined);
const ways = latest(lines(), 'waysSeed').filter(
  ({ waysSeed }) => waysSeed >= first && waysSeed < first + Math.ceil(WAYS / WAYS_AT_A_TIME),
);
const sum = (all, of) => all.reduce((total, one) => total + of(one), 0);
const number = (value) => value.toLocaleString('en');
const gaps = {};
for (const trial of run) for (const [what, count] of Object.entries(trial.gaps)) gaps[what] = (gaps[what] ?? 0) + count;
const faulty = run.filter(({ faults }) => KINDS.some((kind) => faults[kind] > 0));
const isRenewed = lines().some(({ renewals, ok }) => renewals === RENEWALS && ok);
const waysRun = sum(ways, ({ count, ok }) => (ok ? count : 0));

const section = [
  `## ${commit}`,
  '',
  `${new Date().toISOString().slice(0, 10)}, Linux ${release()}, Node ${process.version}.`,
  '',
  '| what | count |',
  '|---|---|',
  `| schedules, seeds ${first} to ${last} | ${number(run.length)} of ${number(SCHEDULES)} |`,
  `| events in them | ${number(sum(run, ({ events }) => events))} |`,
  `| senders | ${number(sum(run, ({ rows }) => rows))} |`,
  `| attempts to send | ${number(sum(run, ({ attempts }) => attempts))} |`,
  `| packets counted at the other end | ${number(sum(run, ({ packets }) => packets))} |`,
  ...KINDS.map((kind) => `| ${kind} | ${number(sum(run, ({ faults }) => faults[kind]))} |`),
  ...Object.entries(gaps).map(([what, count]) => `| expected: ${what} | ${number(count)} |`),
  `| schedules with faults | ${number(faulty.length)} |`,
  `| schedules that could not be run | ${number(trials.length - run.length)} |`,
  `| packets of \`test/ways\` as on the kernel, seeds ${first} to ${first + Math.ceil(WAYS / WAYS_AT_A_TIME) - 1} | ${number(waysRun)} of ${number(WAYS)} |`,
  `| cgroups made anew in each case, nothing astray and nothing lost | ${isRenewed ? number(RENEWALS) : 'failed'} |`,
  '',
  ...(faulty.length === 0
    ? []
    : [
        `Seeds with faults: ${faulty
          .map(({ seed }) => seed)
          .sort((a, b) => a - b)
          .join(', ')}.`,
        '',
      ]),
].join('\n');
const HEAD = '# What the long tests found\n\nWritten by `npm run test:long`; the newest commit comes first.\n\n';
const before = existsSync(LOG) ? readFileSync(LOG, 'utf8').slice(HEAD.length) : '';
const others = before.split(/^(?=## )/m).filter((one) => one !== '' && !one.startsWith(`## ${commit}\n`));
writeFileSync(LOG, `${HEAD}${[section, ...others].join('\n').trimEnd()}\n`);
console.error(section);
for (const { text } of faulty) console.error(`${text}\n`);
process.exit(faulty.length === 0 && run.length === SCHEDULES && waysRun >= WAYS && isRenewed ? 0 : 1);
