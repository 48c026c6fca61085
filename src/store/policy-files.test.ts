import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { changedApps } from '../policy/sorted-apps.ts';
import { type Paths, pathsFor } from './paths.ts';
import { type LoadedPolicies, PolicyFiles } from './policy-files.ts';

let root: string;
let paths: Paths;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'policy-files-'));
  paths = pathsFor(root);
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

function put(path: string, text: string): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  return path;
}

const inPackage = (name: string): string => join(paths.packagePolicies, name);
const byAdministrator = (name: string): string => join(paths.administratorPolicies, name);

const policy = (app: string, verb = 'allow', exec = `/opt/${app}`): string =>
  `pointsman: 1\napp: ${app}\nmatch:\n  - exec: ${exec}\notherwise: ${verb}\n`;
const BROKEN = 'pointsman: 1\napp: a\nmatch:\n  - exec: /opt/a\notherwise: perhaps\n';
const uplink = (name: string): string => `pointsman: 1\nuplink: ${name}\ndevice: ${name}0\n`;

const apps = ({ policySet }: LoadedPolicies): string[] => policySet.apps.map(({ app }) => app);
const verbOf = ({ policySet }: LoadedPolicies, app: string) =>
  policySet.apps.find((policy) => policy.app === app)?.otherwise?.value.do;
const said = ({ diagnostics }: LoadedPolicies): string[] =>
  diagnostics.map(({ severity, code, file }) => `${severity} ${code} ${file.slice(root.length)}`);

describe('PolicyFiles', () => {
  it('PolicyFiles gives the built-in default and no applications where there are no files', () => {
    const loaded = new PolicyFiles(paths).load();
    expect(loaded).toMatchObject({ diagnostics: [], revision: 1, changedApps: [] });
    expect(loaded.policySet).toMatchObject({ apps: [], uplinks: [], systemDefault: { otherwise: { do: 'allow' } } });
  });

  it('PolicyFiles joins all layers, uplinks and the default file', () => {
    put(inPackage('a.yaml'), policy('a'));
    put(byAdministrator('a.yml'), 'pointsman: 1\napp: a\notherwise: deny\n');
    put(join(paths.locks, 'a.yaml'), 'pointsman: 1\napp: a\nrules:\n  - { to: lan, do: drop }\n');
    put(join(paths.uplinks, 'wifi.yaml'), uplink('wifi'));
    put(join(paths.uplinks, 'cell.yaml'), uplink('cell'));
    put(paths.systemDefault, 'pointsman: 1\notherwise: deny\n');
    const { policySet, diagnostics } = new PolicyFiles(paths).load();
    expect(diagnostics).toEqual([]);
    expect(policySet.apps[0]?.files.map(({ layer }) => layer)).toEqual(['locks', 'administrator', 'package']);
    expect(policySet.apps[0]?.otherwise?.layer).toBe('administrator');
    expect(policySet.uplinks.map(({ name }) => name)).toEqual(['cell', 'wifi']);
    expect(policySet.systemDefault.otherwise.do).toBe('deny');
  });

  it('PolicyFiles ignores what editors, dpkg and other programs leave in the directories', () => {
    put(inPackage('a.yaml'), policy('a'));
    for (const name of [
      'b.yaml~',
      '.b.yaml',
      'b.yaml.dpkg-old',
      'b.yaml.dpkg-new',
      '.b.yaml.swp',
      'README',
      'b.json',
    ]) {
      put(inPackage(name), policy('b'));
    }
    const loaded = new PolicyFiles(paths).load();
    expect(apps(loaded)).toEqual(['a']);
    expect(loaded.diagnostics).toEqual([]);
  });

  it('PolicyFiles follows symbolic links to files, and reports whatever is no file without opening it', () => {
    const target = put(join(root, 'elsewhere/a'), policy('a'));
    mkdirSync(paths.packagePolicies, { recursive: true });
    symlinkSync(target, inPackage('a.yaml'));
    symlinkSync('/nowhere/at/all', inPackage('dangling.yaml'));
    symlinkSync('loop.yaml', inPackage('loop.yaml'));
    symlinkSync('/dev/zero', inPackage('device.yaml'));
    mkdirSync(inPackage('directory.yaml'));
    execFileSync('mkfifo', [inPackage('fifo.yaml')]);
    const loaded = new PolicyFiles(paths).load();
    expect(loaded.policySet.apps.filter(({ blocked }) => blocked === undefined).map(({ app }) => app)).toEqual(['a']);
    const names = ['dangling', 'device', 'directory', 'fifo', 'loop'];
    expect(said(loaded)).toEqual(
      names.map((name) => `error unreadable-file /usr/share/pointsman/policies/${name}.yaml`),
    );
  });

  it('PolicyFiles resolves the symbolic links of `script` paths, and of no other kind', () => {
    const link = join(root, 'bin/link');
    symlinkSync(put(join(root, 'bin/one'), ''), link);
    put(inPackage('a.yaml'), `pointsman: 1\napp: a\nmatch: [{script: ${link}}, {cgroup: ${link}}]\n`);
    const { policySet } = new PolicyFiles(paths).load();
    expect(policySet.apps[0]?.match).toMatchObject([
      { kind: 'script', value: join(root, 'bin/one') },
      { kind: 'cgroup', value: link },
    ]);
  });

  it('PolicyFiles blocks what the application of a broken file starts, where the file says so', () => {
    put(inPackage('a.yaml'), `${BROKEN}children: same\n`);
    const { policySet } = new PolicyFiles(paths).load();
    expect(policySet.apps).toMatchObject([{ app: 'a', blocked: {}, children: { value: { are: 'same' } } }]);
  });

  it('PolicyFiles resolves the symbolic links of `exec` paths, again at each full load', () => {
    const one = put(join(root, 'bin/one'), '');
    const two = put(join(root, 'bin/two'), '');
    const link = join(root, 'bin/program');
    put(inPackage('a.yaml'), policy('a', 'allow', link));
    const files = new PolicyFiles(paths);
    const execOf = ({ policySet }: LoadedPolicies) =>
      policySet.apps[0]?.match.map((match) => match.kind === 'exec' && match.value);
    expect(execOf(files.load())).toEqual([link]);
    symlinkSync(one, link);
    const linked = files.load();
    expect(execOf(linked)).toEqual([one]);
    expect(linked.changedApps).toEqual(['a']);
    expect(files.load().policySet).toBe(linked.policySet);
    expect(files.linksHaveMoved()).toBe(false);
    symlinkSync(two, join(root, 'bin/new'));
    renameSync(join(root, 'bin/new'), link);
    expect(files.linksHaveMoved()).toBe(true);
    expect(execOf(files.load())).toEqual([two]);
    expect(files.linksHaveMoved()).toBe(false);
    rmSync(two);
    expect(files.linksHaveMoved()).toBe(true);
    expect(execOf(files.load())).toEqual([link]);
    expect(files.linksHaveMoved()).toBe(false);
  });

  it('PolicyFiles leaves a path as it is written that leads to a name which cannot be', () => {
    const link = join(root, 'bin/program');
    put(join(root, 'bin/one'), '');
    renameSync(join(root, 'bin/one'), Buffer.from(`${root}/bin/b\xff`, 'latin1'));
    symlinkSync(Buffer.from('b\xff', 'latin1'), link);
    put(inPackage('a.yaml'), policy('a', 'allow', link));
    expect(new PolicyFiles(paths).load().policySet.apps[0]?.match).toMatchObject([{ kind: 'exec', value: link }]);
  });

  it.each(['mask: true\n', '# not here\n'])('PolicyFiles drops the weaker files whose name a mask has: %j', (mask) => {
    put(inPackage('a.yaml'), policy('a'));
    put(inPackage('b.yaml'), policy('b'));
    put(byAdministrator('a.yaml'), mask);
    const files = new PolicyFiles(paths);
    expect(apps(files.load())).toEqual(['b']);
    rmSync(byAdministrator('a.yaml'));
    expect(apps(files.load())).toEqual(['a', 'b']);
  });

  it('PolicyFiles keeps what an emptied file said before, also after a restart, and blocks where it said nothing', () => {
    put(inPackage('a.yaml'), policy('a'));
    const file = put(byAdministrator('a.yaml'), 'pointsman: 1\napp: a\notherwise: deny\n');
    const files = new PolicyFiles(paths);
    expect(verbOf(files.load(), 'a')).toBe('deny');
    writeFileSync(file, '');
    for (const loaded of [files.load(), files.load({ changed: [file] }), new PolicyFiles(paths).load()]) {
      expect([verbOf(loaded, 'a'), said(loaded)]).toEqual([
        'deny',
        ['error empty-file /etc/pointsman/policies/a.yaml'],
      ]);
    }
    rmSync(paths.lastGoodDir, { recursive: true });
    const [app] = new PolicyFiles(paths).load().policySet.apps;
    expect(app).toMatchObject({ app: 'a', match: [{ value: '/opt/a' }] });
    expect(app?.blocked?.because).toBe(`${file}:1:1: the file cannot be used [empty-file]`);
  });

  it('PolicyFiles keeps an emptied uplink, profile and default in force', () => {
    put(join(paths.uplinks, 'wifi.yaml'), uplink('wifi'));
    put(join(paths.profiles, 'work.yaml'), 'pointsman: 1\nprofile: work\nwhen: [{ time: Mon-Fri }]\n');
    put(paths.systemDefault, 'pointsman: 1\notherwise: deny\n');
    const files = new PolicyFiles(paths);
    files.load();
    for (const path of [join(paths.uplinks, 'wifi.yaml'), join(paths.profiles, 'work.yaml'), paths.systemDefault])
      writeFileSync(path, '');
    for (const { policySet, diagnostics } of [files.load(), new PolicyFiles(paths).load()]) {
      expect(policySet.uplinks.map(({ name }) => name)).toEqual(['wifi']);
      expect(policySet.profiles?.map(({ name }) => name)).toEqual(['work']);
      expect(policySet.systemDefault.otherwise.do).toBe('deny');
      expect(diagnostics.map(({ code }) => code)).toEqual(['empty-file', 'empty-file', 'empty-file']);
    }
  });

  it('PolicyFiles lets a mask among the answers hide nothing', () => {
    put(inPackage('a.yaml'), policy('a'));
    put(join(paths.answers, 'a.yaml'), '# nothing\n');
    const loaded = new PolicyFiles(paths).load();
    expect(apps(loaded)).toEqual(['a']);
    expect(said(loaded)).toEqual(['warning not-yet-enforced /var/lib/pointsman/policies/a.yaml']);
  });

  it('PolicyFiles says nothing of mistakes in a file that is hidden', () => {
    put(inPackage('a.yaml'), BROKEN);
    put(byAdministrator('a.yaml'), '# nothing\n');
    expect(new PolicyFiles(paths).load()).toMatchObject({ diagnostics: [], changedApps: [] });
  });

  it('PolicyFiles warns of uplinks that no file describes, also when the uplink goes', () => {
    put(inPackage('a.yaml'), `${policy('a')}via: { require: { name: wifi } }\n`);
    put(join(paths.uplinks, 'wifi.yaml'), uplink('wifi'));
    const files = new PolicyFiles(paths);
    expect(files.load().diagnostics).toEqual([]);
    rmSync(join(paths.uplinks, 'wifi.yaml'));
    expect(said(files.load())).toEqual(['warning unknown-uplink /usr/share/pointsman/policies/a.yaml']);
  });

  it('PolicyFiles has the profiles, and warns of rules that wait for one which no file describes', () => {
    put(inPackage('a.yaml'), `${policy('a')}rules: [{ to: lan, do: deny, during: work }]\n`);
    put(join(paths.profiles, 'work.yaml'), 'pointsman: 1\nprofile: work\nwhen: [{ time: Mon-Fri }]\n');
    const files = new PolicyFiles(paths);
    const first = files.load();
    expect(first).toMatchObject({ diagnostics: [], policySet: { profiles: [{ name: 'work' }] } });
    expect(files.load().policySet).toBe(first.policySet);
    rmSync(join(paths.profiles, 'work.yaml'));
    const second = files.load({ changed: [join(paths.profiles, 'work.yaml')] });
    expect(said(second)).toEqual(['warning unknown-profile /usr/share/pointsman/policies/a.yaml']);
    expect(second.policySet).not.toHaveProperty('profiles');
    put(join(paths.profiles, 'work.yaml'), 'pointsman: 1\nprofile: work\nwhen: [{ time: never }]\n');
    expect(said(files.load())).toContain('error invalid-value /etc/pointsman/profiles/work.yaml');
  });

  it('PolicyFiles reports a directory that cannot be read, and keeps what it had of it, also after a restart', () => {
    put(inPackage('a.yaml'), policy('a'));
    const files = new PolicyFiles(paths);
    files.load();
    rmSync(paths.packagePolicies, { recursive: true });
    writeFileSync(paths.packagePolicies, 'a file where a directory should be');
    for (const loaded of [files.load(), new PolicyFiles(paths).load()]) {
      expect(apps(loaded)).toEqual(['a']);
      expect(said(loaded)).toEqual(['error unreadable-file /usr/share/pointsman/policies']);
    }
  });
});

describe('PolicyFiles loading again', () => {
  it('PolicyFiles keeps the policy set and revision where nothing changed, even if files were touched', () => {
    const file = put(inPackage('a.yaml'), policy('a'));
    const files = new PolicyFiles(paths);
    const first = files.load();
    utimesSync(file, 1, 1);
    const second = files.load();
    expect(second.policySet).toBe(first.policySet);
    expect(second).toMatchObject({ revision: 1, changedApps: [] });
  });

  it('PolicyFiles keeps the identity of all applications but the changed one', () => {
    for (const app of ['a', 'b', 'c']) put(inPackage(`${app}.yaml`), policy(app));
    const files = new PolicyFiles(paths);
    const first = files.load();
    put(inPackage('b.yaml'), policy('b', 'deny'));
    const second = files.load();
    expect(second).toMatchObject({ revision: 2, changedApps: ['b'] });
    expect(second.policySet.apps.map((app, i) => app === first.policySet.apps[i])).toEqual([true, false, true]);
  });

  it('PolicyFiles sees a change of the same size that follows at once', () => {
    const file = put(inPackage('a.yaml'), policy('a', 'deny'));
    const files = new PolicyFiles(paths);
    for (const verb of ['drop', 'deny', 'drop', 'deny']) {
      files.load();
      writeFileSync(file, policy('a', verb));
      expect(verbOf(files.load(), 'a')).toBe(verb);
    }
  });

  it('PolicyFiles reports applications that came, changed and went', () => {
    put(inPackage('a.yaml'), policy('a'));
    put(inPackage('b.yaml'), policy('b'));
    const files = new PolicyFiles(paths);
    files.load();
    rmSync(inPackage('a.yaml'));
    put(inPackage('b.yaml'), policy('b', 'drop'));
    put(inPackage('c.yaml'), policy('c'));
    expect(files.load().changedApps).toEqual(['a', 'b', 'c']);
  });

  it('PolicyFiles trusts a hint: it looks at the named files and at no others', () => {
    const a = put(inPackage('a.yaml'), policy('a'));
    const b = put(inPackage('b.yaml'), policy('b'));
    const files = new PolicyFiles(paths);
    files.load();
    writeFileSync(a, policy('a', 'deny'));
    writeFileSync(b, policy('b', 'deny'));
    const c = put(inPackage('c.yaml'), policy('c'));
    const hinted = files.load({ changed: [a, c, inPackage('c.yaml~'), '/etc/passwd'] });
    expect(hinted.changedApps).toEqual(['a', 'c']);
    expect(verbOf(hinted, 'b')).toBe('allow');
    expect(files.load().changedApps).toEqual(['b']);
  });

  it('PolicyFiles forgets a hinted file that is gone, and re-reads the default and uplinks by hint', () => {
    const a = put(inPackage('a.yaml'), policy('a'));
    const files = new PolicyFiles(paths);
    files.load();
    rmSync(a);
    const wifi = put(join(paths.uplinks, 'wifi.yaml'), uplink('wifi'));
    put(paths.systemDefault, 'pointsman: 1\notherwise: drop\n');
    const { policySet } = files.load({ changed: [a, wifi, paths.systemDefault] });
    expect(policySet).toMatchObject({
      apps: [],
      uplinks: [{ name: 'wifi' }],
      systemDefault: { otherwise: { do: 'drop' } },
    });
  });

  it('PolicyFiles looks at everything where a hint names a directory', () => {
    const files = new PolicyFiles(paths);
    files.load();
    put(inPackage('a.yaml'), policy('a'));
    expect(apps(files.load({ changed: [dirname(paths.packagePolicies)] }))).toEqual(['a']);
  });
});

describe('PolicyFiles told what changed', () => {
  const texts = fc.oneof(
    {
      weight: 6,
      arbitrary: fc
        .tuple(fc.constantFrom('a', 'b', 'c'), fc.constantFrom('/x', '/y'))
        .map(([app, exec]) => policy(app, 'deny', exec)),
    },
    fc.constantFrom(BROKEN, '', ':::', undefined, 'pointsman: 1\napp: a\nvia: { require: { name: wifi } }\n'),
  );
  const place = fc.constantFrom('packagePolicies', 'administratorPolicies', 'locks', 'answers');
  const write = fc.record({ place, name: fc.constantFrom('a.yaml', 'b.yaml'), text: texts });
  const step = fc.array(fc.oneof({ weight: 5, arbitrary: write }, fc.constant('uplink' as const)), { maxLength: 3 });

  it('PolicyFiles gives by a hint what it gives by looking at everything', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 6 }), (steps) => {
        rmSync(root, { recursive: true, force: true });
        const hinted = new PolicyFiles(paths, { writesLastGood: false });
        const scanning = new PolicyFiles(paths, { writesLastGood: false });
        let before = hinted.load().policySet.apps;
        scanning.load();
        for (const writes of steps) {
          const changed = writes.map((each) => {
            const [path, text] =
              each === 'uplink'
                ? [
                    join(paths.uplinks, 'wifi.yaml'),
                    existsSync(join(paths.uplinks, 'wifi.yaml')) ? undefined : uplink('wifi'),
                  ]
                : [join(paths[each.place], each.name), each.text];
            if (text === undefined) rmSync(path, { force: true });
            else put(path, text);
            return path;
          });
          const loaded = hinted.load({ changed });
          const fresh = scanning.load();
          expect(loaded.policySet).toEqual(fresh.policySet);
          expect(loaded.diagnostics).toEqual(fresh.diagnostics);
          expect(loaded.changedApps).toEqual(changedApps(before, loaded.policySet.apps));
          before = loaded.policySet.apps;
        }
      }),
      { numRuns: 60 },
    );
  });

  it('PolicyFiles keeps the objects of uplinks and all other applications', () => {
    put(join(paths.uplinks, 'wifi.yaml'), uplink('wifi'));
    for (const app of ['a', 'b', 'c']) put(inPackage(`${app}.yaml`), policy(app));
    const files = new PolicyFiles(paths);
    const first = files.load().policySet;
    const second = files.load({ changed: [put(inPackage('b.yaml'), policy('b', 'deny'))] }).policySet;
    expect(second.uplinks).toBe(first.uplinks);
    expect(second.apps.map((policy, i) => policy === first.apps[i])).toEqual([true, false, true]);
  });
});

describe('PolicyFiles and copies', () => {
  const copies = (): string[] => readdirSync(join(paths.lastGoodDir, 'package')).sort();

  it('PolicyFiles makes copies later where it is told to, so many at once as it is told', () => {
    for (const app of ['a', 'b', 'c']) put(inPackage(`${app}.yaml`), policy(app));
    const files = new PolicyFiles(paths);
    files.load(undefined, { copies: 'later' });
    expect(existsSync(paths.lastGoodDir)).toBe(false);
    expect(files.keepCopies(2)).toBe(true);
    expect(copies()).toEqual(['a.yaml', 'b.yaml']);
    expect(files.keepCopies(2)).toBe(false);
    expect(copies()).toEqual(['a.yaml', 'b.yaml', 'c.yaml']);
  });

  it('PolicyFiles copies what was good last, also where the file broke before its copy was made', () => {
    const file = put(inPackage('a.yaml'), policy('a', 'drop'));
    const files = new PolicyFiles(paths);
    files.load(undefined, { copies: 'later' });
    files.load({ changed: [put(file, BROKEN)] }, { copies: 'later' });
    files.keepCopies();
    expect(verbOf(new PolicyFiles(paths).load(), 'a')).toBe('drop');
  });

  it('PolicyFiles says of what it has loaded that copies could not be made, and takes it back', () => {
    put(inPackage('a.yaml'), policy('a'));
    put(paths.lastGoodDir, 'a file where a directory should be');
    const files = new PolicyFiles(paths);
    expect(files.load(undefined, { copies: 'later' }).diagnostics).toEqual([]);
    expect(files.keepCopies()).toBe(false);
    const told = files.loaded?.diagnostics.map(({ severity, file }) => `${severity} ${file}`);
    expect(told).toContain(`warning ${paths.packagePolicies}`);
    rmSync(paths.lastGoodDir);
    files.keepCopies();
    expect(files.loaded?.diagnostics).toEqual([]);
    expect(copies()).toEqual(['a.yaml']);
  });

  it('PolicyFiles that only read neither make nor remove copies, but use them', () => {
    const a = put(inPackage('a.yaml'), policy('a', 'drop'));
    const b = put(inPackage('b.yaml'), policy('b'));
    new PolicyFiles(paths).load();
    writeFileSync(a, BROKEN);
    rmSync(b);
    put(inPackage('c.yaml'), policy('c'));
    const loaded = new PolicyFiles(paths, { writesLastGood: false }).load();
    expect(verbOf(loaded, 'a')).toBe('drop');
    expect(apps(loaded)).toEqual(['a', 'c']);
    expect(copies()).toEqual(['a.yaml', 'b.yaml']);
  });
});

describe('PolicyFiles and broken files', () => {
  it('PolicyFiles keeps the last good version of a file that breaks, with its old lines, and tells so', () => {
    const file = put(inPackage('a.yaml'), policy('a'));
    const files = new PolicyFiles(paths);
    const first = files.load();
    writeFileSync(file, BROKEN);
    const second = files.load();
    expect(second.policySet).toBe(first.policySet);
    expect(second.diagnostics).toMatchObject([{ severity: 'error', file, line: 5 }]);
    expect(second.diagnostics[0]?.hint).toContain('the last good version of the file stays in force');
  });

  it('PolicyFiles keeps the last good version over a restart, and takes the mended file', () => {
    const file = put(inPackage('a.yaml'), policy('a', 'drop'));
    new PolicyFiles(paths).load();
    writeFileSync(file, BROKEN);
    const files = new PolicyFiles(paths);
    const restarted = files.load();
    expect(verbOf(restarted, 'a')).toBe('drop');
    expect(restarted.policySet.apps[0]?.blocked).toBeUndefined();
    writeFileSync(file, policy('a', 'deny'));
    expect(verbOf(files.load(), 'a')).toBe('deny');
  });

  it('PolicyFiles tells of which files the last good version is in force, of whatever kind', () => {
    const files = new PolicyFiles(paths);
    const good = [
      put(inPackage('a.yaml'), policy('a')),
      put(join(paths.uplinks, 'wifi.yaml'), uplink('wifi')),
      put(paths.systemDefault, 'pointsman: 1\notherwise: deny\n'),
    ];
    put(inPackage('b.yaml'), policy('b'));
    expect(files.load().lastGood).toEqual([]);
    for (const file of good) put(file, 'pointsman: 1\nnonsense: 1\n');
    expect(files.load().lastGood.toSorted()).toEqual(good.toSorted());
    expect(new PolicyFiles(paths).load().lastGood.toSorted()).toEqual(good.toSorted());
    put(inPackage('a.yaml'), policy('a'));
    expect(files.load({ changed: [inPackage('a.yaml')] }).lastGood.toSorted()).toEqual(good.slice(1).toSorted());
  });

  it('PolicyFiles blocks the application of a broken file that never was good, and no other', () => {
    const file = put(inPackage('a.yaml'), BROKEN);
    put(inPackage('b.yaml'), policy('b'));
    const { policySet } = new PolicyFiles(paths).load();
    expect(policySet.apps).toMatchObject([{ app: 'a', match: [{ value: '/opt/a' }] }, { app: 'b' }]);
    expect(policySet.apps[0]?.blocked?.because).toMatch(`${file}:5:`);
    expect(policySet.apps[1]?.blocked).toBeUndefined();
  });

  it('PolicyFiles blocks an application also for a broken file of another layer that names it', () => {
    put(inPackage('a.yaml'), policy('a'));
    put(join(paths.locks, 'a.yaml'), 'pointsman: 1\napp: a\notherwise: perhaps\n');
    const { policySet } = new PolicyFiles(paths).load();
    expect(policySet.apps).toMatchObject([{ app: 'a', match: [{ value: '/opt/a' }], blocked: {} }]);
  });

  it('PolicyFiles blocks the application that a broken file is called as where the file does not tell it', () => {
    put(inPackage('a.yaml'), policy('a'));
    put(byAdministrator('a.yaml'), ':::');
    put(byAdministrator('- -.yaml'), ':::');
    const { policySet, diagnostics } = new PolicyFiles(paths).load();
    expect(policySet.apps.map(({ app, blocked }) => [app, blocked !== undefined])).toEqual([['a', true]]);
    expect(new Set(diagnostics.map(({ file }) => file)).size).toBe(2);
  });

  it.runIf(process.getuid?.() === 0)(
    'PolicyFiles lets nobody block an application by a file in a shared directory',
    () => {
      put(inPackage('a.yaml'), policy('a'));
      const planted = put(byAdministrator('a.yaml'), ':::');
      chmodSync(dirname(planted), 0o1777);
      chownSync(planted, NOBODY, NOBODY);
      const loaded = new PolicyFiles(paths).load();
      expect(said(loaded)).toEqual(['error file-not-trusted /etc/pointsman/policies/a.yaml']);
      expect(loaded.policySet.apps[0]?.blocked).toBeUndefined();
    },
  );

  it('PolicyFiles forgets a deleted file and its last good version, also one deleted while nobody looked', () => {
    const a = put(inPackage('a.yaml'), policy('a'));
    const b = put(inPackage('b.yaml'), policy('b'));
    const files = new PolicyFiles(paths);
    files.load();
    expect(readdirSync(join(paths.lastGoodDir, 'package')).sort()).toEqual(['a.yaml', 'b.yaml']);
    rmSync(a);
    files.load();
    expect(readdirSync(join(paths.lastGoodDir, 'package'))).toEqual(['b.yaml']);
    rmSync(b);
    new PolicyFiles(paths).load();
    expect(readdirSync(join(paths.lastGoodDir, 'package'))).toEqual([]);
    writeFileSync(a, BROKEN);
    expect(new PolicyFiles(paths).load().policySet.apps[0]?.blocked).toBeDefined();
  });

  it('PolicyFiles keeps the last good uplink and default; without one the uplink is absent and the default built in', () => {
    const wifi = put(join(paths.uplinks, 'wifi.yaml'), uplink('wifi'));
    put(join(paths.uplinks, 'cell.yaml'), 'pointsman: 1\nuplink: cell\n');
    put(paths.systemDefault, 'pointsman: 1\notherwise: maybe\n');
    const files = new PolicyFiles(paths);
    const first = files.load();
    expect(first.policySet).toMatchObject({
      uplinks: [{ name: 'wifi' }],
      systemDefault: { otherwise: { do: 'allow' } },
    });
    expect(new Set(said(first).map((line) => line.split(' ').at(-1)))).toEqual(
      new Set(['/etc/pointsman/default.yaml', '/etc/pointsman/uplinks/cell.yaml']),
    );
    put(paths.systemDefault, 'pointsman: 1\notherwise: deny\n');
    files.load();
    put(paths.systemDefault, 'pointsman: 1\notherwise: maybe\n');
    writeFileSync(wifi, 'pointsman: 1\n');
    for (const loaded of [files.load(), new PolicyFiles(paths).load()]) {
      expect(loaded.policySet).toMatchObject({
        uplinks: [{ name: 'wifi' }],
        systemDefault: { otherwise: { do: 'deny' } },
      });
    }
  });

  it('PolicyFiles only warns where the last good versions cannot be kept, and makes up for it later', () => {
    const file = put(inPackage('a.yaml'), policy('a'));
    put(paths.lastGoodDir, 'a file where a directory should be');
    const files = new PolicyFiles(paths);
    for (const loaded of [files.load(), files.load()]) {
      expect(apps(loaded)).toEqual(['a']);
      expect(said(loaded).every((line) => line.startsWith('warning unreadable-file'))).toBe(true);
      expect(said(loaded)).toContain('warning unreadable-file /usr/share/pointsman/policies');
    }
    rmSync(paths.lastGoodDir);
    expect(files.load().diagnostics).toEqual([]);
    expect(readFileSync(join(paths.lastGoodDir, 'package/a.yaml'))).toEqual(readFileSync(file));
    expect(existsSync(join(paths.lastGoodDir, 'package/b.yaml'))).toBe(false);
  });

  it('PolicyFiles reads no more of a huge file than is needed to refuse it', () => {
    put(inPackage('a.yaml'), '');
    execFileSync('truncate', ['--size=8G', inPackage('a.yaml')]);
    expect(said(new PolicyFiles(paths).load())).toEqual(['error file-too-large /usr/share/pointsman/policies/a.yaml']);
  });

  it('PolicyFiles refuses files that others can change, as soon as they can, and keeps what they said before', () => {
    const file = put(inPackage('a.yaml'), policy('a'));
    const other = put(inPackage('b.yaml'), policy('b'));
    const files = new PolicyFiles(paths);
    expect(files.load().diagnostics).toEqual([]);
    writeFileSync(file, policy('a', 'deny'));
    chmodSync(file, 0o646);
    writeFileSync(other, policy('b', 'deny'));
    const loaded = files.load();
    expect(said(loaded)).toEqual(['error file-not-trusted /usr/share/pointsman/policies/a.yaml']);
    expect(loaded.diagnostics[0]).toMatchObject({
      message: `the file is not read: everybody can change ${file}`,
      hint: `chown root:root and chmod go-w ${file}; until this is mended, the last good version of the file stays in force`,
    });
    expect([verbOf(loaded, 'a'), verbOf(loaded, 'b')]).toEqual(['allow', 'deny']);
    expect(verbOf(new PolicyFiles(paths).load(), 'a')).toBe('allow');
    chmodSync(file, 0o644);
    expect(verbOf(files.load(), 'a')).toBe('deny');
  });

  it('PolicyFiles believes nothing of a directory that others can change: no new file, no change, nothing missing', () => {
    const file = put(inPackage('a.yaml'), policy('a'));
    put(inPackage('b.yaml'), policy('b'));
    const files = new PolicyFiles(paths);
    files.load();
    chmodSync(dirname(file), 0o777);
    writeFileSync(file, policy('a', 'deny'));
    rmSync(inPackage('b.yaml'));
    put(inPackage('c.yaml'), policy('c'));
    for (const loaded of [files.load(), files.load({ changed: [file, inPackage('b.yaml'), inPackage('c.yaml')] })]) {
      expect(apps(loaded)).toEqual(['a', 'b']);
      expect(verbOf(loaded, 'a')).toBe('allow');
      expect(said(loaded)).toEqual(['error file-not-trusted /usr/share/pointsman/policies']);
    }
    const anew = new PolicyFiles(paths).load();
    expect([...apps(anew), verbOf(anew, 'a')]).toEqual(['a', 'b', 'allow']);
    chmodSync(dirname(file), 0o755);
    const mended = files.load();
    expect([...apps(mended), verbOf(mended, 'a')]).toEqual(['a', 'c', 'deny']);
  });

  it('PolicyFiles believes no directory above that others can change, for files of any kind', () => {
    put(byAdministrator('a.yaml'), policy('a'));
    put(join(paths.uplinks, 'wifi.yaml'), uplink('wifi'));
    put(paths.systemDefault, 'pointsman: 1\notherwise: deny\n');
    chmodSync(dirname(paths.systemDefault), 0o777);
    const loaded = new PolicyFiles(paths).load();
    expect(said(loaded)).toEqual(
      ['default.yaml', 'locks', 'packages.yaml', 'policies', 'profiles', 'uplinks'].map(
        (name) => `error file-not-trusted /etc/pointsman/${name}`,
      ),
    );
    expect(loaded.policySet).toMatchObject({ apps: [], uplinks: [], systemDefault: { otherwise: { do: 'allow' } } });
  });

  it('PolicyFiles follows a link to a file that only root can change, wherever it is, and to /dev/null as a mask', () => {
    put(inPackage('a.yaml'), policy('a'));
    put(inPackage('b.yaml'), policy('b'));
    mkdirSync(paths.administratorPolicies, { recursive: true });
    symlinkSync('/dev/null', byAdministrator('a.yaml'));
    symlinkSync('/etc/passwd', byAdministrator('passwd.yaml'));
    const loaded = new PolicyFiles(paths).load();
    expect(apps(loaded)).toEqual(['b', 'passwd']);
    expect(said(loaded)).not.toContain('error file-not-trusted /etc/pointsman/policies/passwd.yaml');
  });

  it.runIf(process.getuid?.() === 0)('PolicyFiles believes groups that default.yaml names, and who is in them', () => {
    const file = put(byAdministrator('a.yaml'), policy('a'));
    chownSync(file, NOBODY, NOBODY);
    chownSync(dirname(file), 0, NOBODY);
    chmodSync(dirname(file), 0o775);
    const files = new PolicyFiles(paths);
    expect(apps(files.load())).toEqual([]);
    put(paths.systemDefault, `pointsman: 1\ntrust: { groups: [${NOBODY}] }\n`);
    const loaded = files.load({ changed: [paths.systemDefault] });
    expect([apps(loaded), said(loaded)]).toEqual([['a'], []]);
    // default.yaml cannot say so of itself.
    chownSync(paths.systemDefault, NOBODY, NOBODY);
    expect(said(files.load())).toEqual(['error file-not-trusted /etc/pointsman/default.yaml']);
  });

  it.runIf(process.getuid?.() === 0)('PolicyFiles believes the owner of the root that it is given', () => {
    const file = put(byAdministrator('a.yaml'), policy('a'));
    execFileSync('chown', ['-R', 'nobody', root]);
    expect(apps(new PolicyFiles(paths).load())).toEqual(['a']);
    chownSync(file, NOBODY + 1, 0);
    expect(said(new PolicyFiles(paths).load())).toEqual(['error file-not-trusted /etc/pointsman/policies/a.yaml']);
  });

  it('PolicyFiles tells who may read what it read, as it was read', () => {
    const file = put(inPackage('a.yaml'), BROKEN);
    chmodSync(file, 0o640);
    const files = new PolicyFiles(paths);
    files.load();
    expect(files.permissionsOf(file)?.at(-1)).toMatchObject({ path: file, mode: 0o100640 });
    expect(files.permissionsOf(inPackage('none.yaml'))).toBeUndefined();
  });
});

const NOBODY = 65_534;
