/** Every wall of the layout stands: what may not be imported does not compile. Works on copies; the tree is not touched. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const tsc = join(root, 'node_modules/.bin/tsc');

const PURE_LAYERS = ['net', 'policy', 'plan', 'netlink', 'bpf', 'dbus', 'api'];

/** Layer -> one that it may not import. */
const FORBIDDEN_IMPORTS: readonly (readonly [layer: string, forbidden: string])[] = [
  ['net', 'policy'],
  ['policy', 'plan'],
  ['plan', 'netlink'],
  ['netlink', 'policy'],
  ['bpf', 'netlink'],
  ['dbus', 'policy'],
  ['api', 'plan'],
  ['kernel', 'apply'],
  ['apply', 'watch'],
  ['identify', 'daemon'],
  ['store', 'daemon'],
  ['watch', 'daemon'],
  ['daemon', 'cli'],
  ['lab', 'daemon'],
  ['cli', 'daemon'],
];

let copy = '';

beforeEach(() => {
  copy = mkdtempSync(join(tmpdir(), 'pointsman-walls-'));
  cpSync(join(root, 'tsconfig.base.json'), join(copy, 'tsconfig.base.json'));
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
  writeFileSync(join(copy, 'package.json'), '{ "type": "module" }');
});

afterEach(() => rmSync(copy, { recursive: true }));

interface LayerConfig {
  readonly references: readonly { readonly path: string }[];
}

/** A layer of the real configuration with one file in it; every layer below it has one, too. */
function makeLayer(layer: string, source: string): void {
  const configPath = `src/${layer}/tsconfig.json`;
  mkdirSync(join(copy, 'src', layer), { recursive: true });
  cpSync(join(root, configPath), join(copy, configPath));
  writeFileSync(join(copy, 'src', layer, 'probe.ts'), source);
  const { references } = JSON.parse(readFileSync(join(copy, configPath), 'utf8')) as LayerConfig;
  for (const { path } of references) {
    const below = path.replace('../', '');
    makeLayer(below, `export const ${below}: string = '${below}';\n`);
  }
}

function compile(layer: string): { readonly status: number | null; readonly errors: readonly string[] } {
  const { status, stdout } = spawnSync(tsc, ['-b', `src/${layer}`, '--pretty', 'false'], {
    cwd: copy,
    encoding: 'utf8',
  });
  return { status, errors: [...stdout.matchAll(/error (TS\d+)/g)].map(([, code = '']) => code) };
}

describe('walls', () => {
  it.each(PURE_LAYERS)('walls keep node modules out of the pure layer %s', (layer) => {
    makeLayer(
      layer,
      `import { readFileSync } from 'node:fs';\nexport const probe: typeof readFileSync = readFileSync;\n`,
    );
    expect(compile(layer).errors).toEqual(['TS2591']);
  });

  it.each(PURE_LAYERS)('walls keep globals of node out of the pure layer %s', (layer) => {
    makeLayer(layer, 'export const probe: unknown = [process, Buffer, console];\n');
    const { status, errors } = compile(layer);
    expect(status).not.toBe(0);
    expect(errors).toHaveLength(3);
  });

  it.each(FORBIDDEN_IMPORTS)('walls keep %s from importing %s', (layer, forbidden) => {
    makeLayer(layer, `export { probe } from '../${forbidden}/probe.ts';\n`);
    mkdirSync(join(copy, 'src', forbidden), { recursive: true });
    writeFileSync(join(copy, 'src', forbidden, 'probe.ts'), `export const probe: string = '';\n`);
    const { status, errors } = compile(layer);
    expect(status).not.toBe(0);
    expect(errors).toContain('TS6307');
  });

  it('walls let a layer import what its configuration lists', () => {
    makeLayer('policy', `import { net } from '../net/probe.ts';\nexport const probe: string = net;\n`);
    expect(compile('policy')).toEqual({ status: 0, errors: [] });
  });

  it.each([
    ['an enum', 'export enum Probe { A }\n', 'TS1294'],
    ['an import without its file ending', `export { net } from '../net/probe';\n`, 'TS2835'],
    ['an export whose type is not written down', 'export const probe = [1].map(String);\n', 'TS9010'],
    ['an element taken for granted', 'export const probe: string = [""][0];\n', 'TS2322'],
    ['undefined for an absent property', 'export const probe: { a?: string } = { a: undefined };\n', 'TS2375'],
  ])('walls refuse %s', (_what, source, code) => {
    makeLayer('policy', source);
    expect(compile('policy').errors).toEqual([code]);
  });
});
