/**
 * nftables: rulesets as one text batch through `nft -f -`; by nfnetlink what uplinks that come and go change, because it is
 * urgent, and elements of cgroup maps, because nft's text form knows cgroups only by paths that may be gone.
 */
import { createHash } from 'node:crypto';
import { endianness } from 'node:os';
import { decodeGeneration, encodeGenerationGet } from '../netlink/nftables.ts';
import {
  decodeElements,
  type ElementData,
  encodeElementDump,
  NFTABLES_NEW_ELEMENTS,
  type SetAddress,
  type SetElement,
} from '../netlink/nftables-element.ts';
import { NFPROTO_INET } from '../netlink/uapi.ts';
import { renderCommands } from '../plan/nft/render.ts';
import { QUEUE_NUMBER, TABLE } from '../plan/reserved.ts';
import { cgroupElementRequests } from './cgroup-elements.ts';
import { decodeReply } from './decode-reply.ts';
import { type Nft, type ObservedTable, printOf } from './kernel.ts';
import { KernelError } from './kernel-error.ts';
import type { NetlinkSocket } from './netlink-socket.ts';
import { nftError } from './nft-error.ts';
import { parseTableListing } from './nft-listing.ts';
import { nftRequests } from './nft-requests.ts';
import { renderPanicTable } from './panic-table.ts';
import { findTool, runTool, type Tool } from './run-tool.ts';
import { refreshRequests } from './set-elements.ts';

const NFT: Tool = { name: 'nft', debianPackage: 'nftables' };

const isLittleEndian = endianness() === 'LE';

const QUEUE_PROBE = `table inet pointsman_probe {
  chain probe {
    queue to ${QUEUE_NUMBER}
  }
}
`;

/** `socket` is a NETLINK_NETFILTER socket of the namespace that this thread is in. */
export function openNft(socket: NetlinkSocket): Nft {
  return {
    apply: async (commands, nowMs) => {
      const requests = nftRequests(commands);
      if (requests === undefined) await runBatch([], renderCommands(commands, nowMs));
      else socket.batch(requests, { operation: 'nft', object: `table ${TABLE}` });
      socket.batch(cgroupElementRequests(commands), { operation: 'nft elements', object: 'cgroup maps' });
    },
    refreshElements: (additions, nowMs, at) => {
      const requests = additions.flatMap(({ set, elements }) => refreshRequests(set, elements, nowMs));
      if (requests.length === 0) return at;
      const object = additions.map(({ set }) => set.name).join(' ');
      socket.batch(requests, { operation: 'refresh elements', object }, { generation: at });
      return nextGeneration(at);
    },
    numbersIn: (name) => numbersIn(socket, name),
    check: async (commands, nowMs) => {
      const text = renderCommands(commands, nowMs);
      if (text !== '') await runBatch(['-c'], text);
    },
    observe: (table) => observe(socket, table),
    supports: () => supportsQueue(),
    loadPanicTable: () => runBatch([], renderPanicTable()),
    generation: () => generation(socket),
  };
}

/** 0 is left out (nf_tables_commit in net/netfilter/nf_tables_api.c). */
const nextGeneration = (generation: number): number => (generation + 1) >>> 0 || 1;

function generation(socket: NetlinkSocket): number {
  const subject = { operation: 'get generation', object: 'nftables' };
  const [answer] = socket.request(encodeGenerationGet(), subject);
  if (answer === undefined)
    throw new KernelError(subject.operation, 0, '', subject.object, 'the kernel gave no answer');
  return decodeReply(subject, () => decodeGeneration(answer).generation);
}

async function runBatch(options: readonly string[], batch: string): Promise<void> {
  const result = await runTool(findTool(NFT), [...options, '-f', '-'], batch);
  if (result.status !== 0) throw nftError(result.stderr, batch);
}

/**
 * Elements are counted by netlink: to list one of a cgroup map, nft would walk the whole cgroup tree (half a
 * millisecond each) for a path that may not be there.
 */
async function observe(socket: NetlinkSocket, table: string): Promise<ObservedTable | undefined> {
  const result = await runTool(findTool(NFT), ['-j', '-t', 'list', 'table', 'inet', table]);
  if (result.status !== 0) {
    const error = nftError(result.stderr, '');
    if (error.isNotFound) return undefined;
    throw error;
  }
  const { chains, sets, maps, prints: listed } = parseTableListing(result.stdout);
  const prints = new Map(listed);
  const lasting = new Map<string, number>();
  const counted = (names: readonly string[]): Map<string, number> =>
    new Map(
      names.map((set) => {
        const elements = elementsOf(socket, { family: NFPROTO_INET, table, set });
        const never = elements.filter(({ expiresInMs }) => expiresInMs === undefined);
        lasting.set(set, never.filter(isCounted).length);
        prints.set(printOf.elements(set), elementsPrint(never));
        return [set, elements.filter(isCounted).length] as const;
      }),
    );
  return { chains, sets: counted(sets), maps: counted(maps), lasting, prints };
}

/** The end of an interval is an element of its own in the kernel, except in concatenations. */
const isCounted = ({ intervalEnd }: SetElement): boolean => !intervalEnd;

/** Whatever their order. */
function elementsPrint(elements: readonly SetElement[]): string {
  const texts = elements.map(({ key, keyEnd, intervalEnd, data }) =>
    [hex(key), hex(keyEnd), intervalEnd ? 'end' : '', data && dataText(data)].join(),
  );
  return createHash('sha256').update(texts.sort().join('\n')).digest('base64');
}

const hex = (bytes: Uint8Array | undefined): string => (bytes === undefined ? '' : Buffer.from(bytes).toString('hex'));
const dataText = (data: ElementData): string =>
  data.kind === 'value' ? hex(data.bytes) : `${data.verdict} ${data.chain ?? ''}`;

function elementsOf(socket: NetlinkSocket, set: SetAddress): readonly SetElement[] {
  const subject = { operation: 'list elements', object: set.set };
  const messages = socket.dump(encodeElementDump(set), subject).filter(({ type }) => type === NFTABLES_NEW_ELEMENTS);
  return decodeReply(subject, () => messages.flatMap((message) => decodeElements(message).elements));
}

/** Keys of such a set are in host order. */
function numbersIn(socket: NetlinkSocket, set: string): readonly number[] {
  try {
    const elements = elementsOf(socket, { family: NFPROTO_INET, table: TABLE, set });
    return elements.map(({ key }) => new DataView(key.buffer, key.byteOffset).getUint32(0, isLittleEndian));
  } catch (error) {
    if (error instanceof KernelError && error.isNotFound) return [];
    throw error;
  }
}

/** The kernel looks the statement up while it checks the batch, and then throws the batch away. */
async function supportsQueue(): Promise<boolean> {
  const result = await runTool(findTool(NFT), ['-c', '-f', '-'], QUEUE_PROBE);
  if (result.status === 0) return true;
  const error = nftError(result.stderr, QUEUE_PROBE);
  if (error.isNotFound || error.code === 'EOPNOTSUPP') return false;
  throw error;
}
