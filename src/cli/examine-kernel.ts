/** What the kernel has of what a daemon needs, asked without any effect: nothing is attached, loaded into a ruleset or listened to. */
import { statfsSync } from 'node:fs';
import { release } from 'node:os';
import type { Finding } from '../api/doctor.ts';
import { BPF_FILE_SYSTEM, hasBpfFileSystem } from '../kernel/bpf/bpf-file-system.ts';
import { closeMaps, createMaps } from '../kernel/bpf/socket-mark-maps.ts';
import { readVmlinuxLayout } from '../kernel/bpf/vmlinux-layout.ts';
import { openCgroupTree } from '../kernel/cgroup.ts';
import { FanotifyGroup } from '../kernel/fanotify.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import type { LinuxKernel } from '../kernel/linux-kernel.ts';
import { findTool, hasTool, runTool } from '../kernel/run-tool.ts';
import { isConntrackCounted } from '../watch/conntrack-accounting.ts';
import { readText } from '../watch/read-text.ts';

export interface Examiner {
  readonly isRoot: boolean;
  /** Absent where netlink is closed to whoever asks. */
  readonly kernel: LinuxKernel | undefined;
}

const NFT = { name: 'nft', debianPackage: 'nftables' };
const XTABLES = [
  { name: 'iptables-nft', debianPackage: 'iptables' },
  { name: 'ip6tables-nft', debianPackage: 'iptables' },
];
/** What a ruleset of ours is made of: a rule that nft(8) and the kernel would take, and what goes without. */
const NFT_PARTS: readonly {
  readonly name: string;
  readonly rule: string;
  /** Of the chain; `filter` and `output` unless stated. */
  readonly type?: 'nat' | 'route';
  readonly hook?: 'postrouting';
  readonly without: 'broken' | 'limited';
  readonly effect: string;
}[] = [
  { name: 'marks', rule: 'meta mark set ct mark and 0xff', without: 'broken', effect: 'nothing can be enforced' },
  {
    name: 'reject',
    rule: 'meta l4proto tcp reject with tcp reset',
    without: 'broken',
    effect: 'nothing can be refused',
  },
  {
    name: 'cgroups',
    rule: 'socket cgroupv2 level 1 "/"',
    without: 'limited',
    effect: 'policies for cgroups and units cannot be applied',
  },
  {
    name: 'zones',
    // Read, which kernels can that can set it: of a rule that sets one all that waits in a packet queue would be dropped.
    rule: 'ct original zone 1',
    without: 'limited',
    effect: 'queries of different programs are not told apart',
  },
  {
    name: 'labels',
    rule: 'ct label 1',
    without: 'broken',
    effect: 'nothing can be enforced where there are uplinks',
  },
  {
    name: 'routes',
    type: 'route',
    rule: 'meta mark set 1',
    without: 'broken',
    effect: 'no connection can be sent by another uplink',
  },
  {
    name: 'masquerade',
    type: 'nat',
    hook: 'postrouting',
    rule: 'masquerade',
    without: 'limited',
    effect: 'sockets that are not marked have the wrong source address by other uplinks',
  },
  {
    name: 'redirect',
    type: 'nat',
    rule: 'udp dport 53 redirect to :977',
    without: 'limited',
    effect: 'queries do not follow their program',
  },
  { name: 'log', rule: 'log group 1', without: 'limited', effect: 'what the kernel refuses is not shown by watch' },
];
const CONFIG_OPTIONS = 'CONFIG_NF_TABLES and its modules';
const NOT_SEEN = 'only root may look at it';
const MAX_PROC_BYTES = 64;

export async function examineKernel(examiner: Examiner): Promise<readonly Finding[]> {
  return [
    privileges(examiner),
    ...(await nftables(examiner)),
    await queue(examiner),
    await look('conntrack', examiner, () => conntrack(examiner)),
    cgroups(),
    await look('programs (BPF)', examiner, programs),
    await look('kept programs', examiner, keptPrograms),
    await look('scripts (fanotify)', examiner, scripts),
  ];
}

/** A refusal of the kernel is a finding. */
async function look(part: string, { isRoot }: Examiner, ask: () => Finding | Promise<Finding>): Promise<Finding> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    if (error.isDenied && !isRoot) return { part, state: 'not seen', message: NOT_SEEN };
    return { part, state: 'limited', message: error.message };
  }
}

function privileges({ isRoot }: Examiner): Finding {
  const part = 'privileges';
  if (isRoot) return { part, state: 'ok', message: 'root' };
  const message = 'an ordinary user: what only root may look at is left out';
  return { part, state: 'not seen', message, mend: 'sudo pointsman doctor' };
}

async function nftables({ isRoot }: Examiner): Promise<readonly Finding[]> {
  const part = 'nftables';
  if (!hasTool(NFT))
    return [{ part, state: 'broken', message: 'nft is not installed', mend: `sudo apt install ${NFT.debianPackage}` }];
  const path = findTool(NFT);
  const version = (await runTool(path, ['--version'])).stdout.trim().split(' ').slice(0, 2).join(' ');
  if (!isRoot) return [{ part, state: 'not seen', message: `${version}; what the kernel takes of it ${NOT_SEEN}` }];
  const missing = [];
  for (const one of NFT_PARTS) {
    // Checked by the kernel, and taken back by it. A base chain that goes takes with it what waits in a packet queue, unless it never was in force.
    const batch = `table inet pointsman_doctor { flags dormant; chain output { type ${one.type ?? 'filter'} hook ${one.hook ?? 'output'} priority 0; ${one.rule}; }; }\n`;
    const { status, stderr } = await runTool(path, ['-c', '-f', '-'], batch);
    if (status !== 0) missing.push({ ...one, because: stderr.trim().split('\n')[0] ?? '' });
  }
  if (missing.length === 0) return [{ part, state: 'ok', message: `${version}, with all that a ruleset needs` }];
  return missing.map(({ name, without, effect, because }) => ({
    part: `${part}: ${name}`,
    state: without,
    message: `${effect} (${because})`,
    mend: `a kernel with ${CONFIG_OPTIONS}`,
  }));
}

async function queue({ kernel, isRoot }: Examiner): Promise<Finding> {
  const part = 'first packets (NFQUEUE)';
  if (!isRoot || kernel === undefined) return { part, state: 'not seen', message: NOT_SEEN };
  try {
    if (await kernel.nft.supports('queue')) return { part, state: 'ok', message: 'by nftables' };
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    return { part, state: 'broken', message: error.message, mend: `a kernel with ${CONFIG_OPTIONS}` };
  }
  const missing = XTABLES.filter((tool) => !hasTool(tool));
  if (missing.length > 0) {
    const message = `the kernel has no nft queue, and ${missing.map(({ name }) => name).join(' and ')} cannot stand in for it`;
    return { part, state: 'broken', message, mend: 'sudo apt install iptables' };
  }
  const message =
    'by iptables, since the kernel has no nft queue: first packets of containers to names not yet known are dropped';
  return { part, state: 'limited', message, mend: 'a kernel with CONFIG_NFT_QUEUE' };
}

function conntrack({ kernel, isRoot }: Examiner): Finding {
  const part = 'conntrack';
  if (!isRoot || kernel === undefined) return { part, state: 'not seen', message: NOT_SEEN };
  const own = kernel.conntrack.ownEntries().length;
  const [count, max] = ['count', 'max'].map((name) =>
    Number(readText(`/proc/sys/net/netfilter/nf_conntrack_${name}`, MAX_PROC_BYTES)),
  );
  if (count !== undefined && max !== undefined && max > 0 && count > max * 0.9) {
    const message = `${count} of ${max} connections: new ones will be dropped by the kernel`;
    return { part, state: 'limited', message, mend: `sudo sysctl -w net.netfilter.nf_conntrack_max=${max * 2}` };
  }
  if (isConntrackCounted()) return { part, state: 'ok', message: `${own} connections of ours, bytes are counted` };
  const message = 'bytes are not counted: uplinks and metrics show connections alone';
  return { part, state: 'limited', message, mend: 'sudo sysctl -w net.netfilter.nf_conntrack_acct=1' };
}

function cgroups(): Finding {
  const part = 'cgroups';
  const tree = openCgroupTree();
  if (tree !== undefined) return { part, state: 'ok', message: `cgroup2 at ${tree.mountDir}` };
  const message = 'no cgroup2: sockets are not marked, and entries by cgroup, unit, container and the like fit nothing';
  return { part, state: 'limited', message, mend: 'boot with systemd.unified_cgroup_hierarchy=1' };
}

/** Whether they can be attached is told by a daemon that has done it. */
function programs(): Finding {
  const part = 'programs (BPF)';
  try {
    readVmlinuxLayout();
    const maps = createMaps();
    closeMaps(maps);
    return {
      part,
      state: 'ok',
      message: `types and maps of Linux ${release()}: programs are known from their first packet on`,
    };
  } catch (error) {
    if (!(error instanceof KernelError) || error.isDenied) throw error;
    const message = `${error.message}: the first packet of each program is asked about`;
    return { part, state: 'limited', message, mend: 'a kernel with CONFIG_DEBUG_INFO_BTF and CONFIG_CGROUP_BPF' };
  }
}

function keptPrograms(): Finding {
  const part = 'kept programs';
  if (hasBpfFileSystem()) return { part, state: 'ok', message: `BPF file system at ${BPF_FILE_SYSTEM}` };
  if (!isThere(BPF_FILE_SYSTEM))
    return {
      part,
      state: 'limited',
      message: `no ${BPF_FILE_SYSTEM}: after a crash everything new is as whenAway says`,
      mend: 'a kernel with CONFIG_BPF_SYSCALL, and sysfs mounted',
    };
  const message = `no BPF file system at ${BPF_FILE_SYSTEM}: the daemon tries to mount one; without it, after a crash everything new is as whenAway says`;
  return { part, state: 'limited', message, mend: `sudo mount -t bpf bpf ${BPF_FILE_SYSTEM}` };
}

function isThere(directory: string): boolean {
  try {
    statfsSync(directory);
    return true;
  } catch {
    return false;
  }
}

function scripts(): Finding {
  const part = 'scripts (fanotify)';
  using _group = FanotifyGroup.open();
  return { part, state: 'ok', message: 'scripts are seen as they start' };
}
