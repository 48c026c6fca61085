/** Writes the files a lab lives on: the daemon's --root tree with its policies, and the device's resolver files. */
import { chmod, cp, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LabError } from './lab-error.ts';
import { labFiles } from './lab-state.ts';
import { DNS_HOST, DNS_ZONE } from './world.ts';

/** The same place from src/lab and from dist/lab. */
const EXAMPLES = new URL('../../examples/lab/', import.meta.url);

const READ_BY_ALL = 0o644;

export interface RootTreeSources {
  /** Directory of policy files to copy instead of examples/lab/policies. */
  readonly policiesDir?: string;
  /** Directory of uplink files to copy instead of examples/lab/uplinks. */
  readonly uplinksDir?: string;
}

/** Throws LabError `bad-policies` for a directory that cannot be copied. */
export async function writeRootTree(stateDir: string, sources: RootTreeSources): Promise<void> {
  const { rootDir } = labFiles(stateDir);
  const etcDir = join(rootDir, 'etc/pointsman');
  for (const dir of [etcDir, join(rootDir, 'var/lib/pointsman'), join(rootDir, 'run/pointsman')]) {
    await mkdir(dir, { recursive: true });
  }
  await copyDir(sources.policiesDir ?? fileURLToPath(new URL('policies', EXAMPLES)), join(etcDir, 'policies'));
  await copyDir(sources.uplinksDir ?? fileURLToPath(new URL('uplinks', EXAMPLES)), join(etcDir, 'uplinks'));
  await cp(fileURLToPath(new URL('default.yaml', EXAMPLES)), join(etcDir, 'default.yaml'));
}

/** A copy, so that trying things out in the lab never changes the originals. */
async function copyDir(from: string, to: string): Promise<void> {
  try {
    if (!(await stat(from)).isDirectory()) throw new Error('not a directory');
    await cp(from, to, { recursive: true });
  } catch (error) {
    const because = error instanceof Error ? error.message : String(error);
    throw new LabError('bad-policies', `cannot copy ${from} into the lab: ${because}`, { cause: error });
  }
}

export async function writeResolverFiles(stateDir: string): Promise<void> {
  const files = labFiles(stateDir);
  await writeFile(files.resolvConf, `nameserver ${DNS_HOST.v4}\nsearch ${DNS_ZONE}\noptions timeout:2 attempts:2\n`);
  const nsswitch = await readFile('/etc/nsswitch.conf', 'utf8').catch(() => '');
  await writeFile(files.nsswitchConf, labNsswitch(nsswitch));
  // Programs of every user look names up, whatever umask the lab was made with.
  for (const file of [files.resolvConf, files.nsswitchConf]) await chmod(file, READ_BY_ALL);
}

/** Names come from files and the lab's DNS only: modules such as `resolve` and `mdns` would ask the host's services. */
export function labNsswitch(hostText: string): string {
  const others = hostText.split('\n').filter((line) => !/^\s*hosts\s*:/.test(line));
  return `${others.join('\n').trimEnd()}\nhosts: files dns\n`.trimStart();
}
