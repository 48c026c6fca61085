/** The states that Pointsman is compared with: the least that connection tracking, and a queue, can cost. */
import type { BenchWorld, Client } from './bench-world.ts';
import { runProgram } from './programs.ts';

/** As in the daemon's own rules: see docs/kernel-objects.md. */
export const QUEUE_NUMBER = 17_700;
const QUEUE_MARK = '0x8000ff00';
/** Just before mangle, where the xtables rule stands. */
const QUEUE_PRIORITY = -151;

export async function conntrackAlone(world: BenchWorld): Promise<Client> {
  const client = await world.addClient('conntrack');
  await nft(client, outputChain(0, 'ct state established accept'));
  return client;
}

/** Each flow's first packet goes to a program that accepts whatever comes, by the same kind of rule as the daemon's. */
export async function acceptAllQueue(world: BenchWorld, acceptAll: string): Promise<Client> {
  const client = await world.addClient('queue');
  if ((await queueKind()) === 'nft') {
    await nft(client, outputChain(QUEUE_PRIORITY, `ct state new queue num ${QUEUE_NUMBER}`));
  } else {
    await nft(client, outputChain(QUEUE_PRIORITY, `ct state new meta mark set ${QUEUE_MARK}`));
    const rule = ['-m', 'mark', '--mark', QUEUE_MARK, '-j', 'NFQUEUE', '--queue-num', `${QUEUE_NUMBER}`];
    await succeed(client.inside(['iptables-nft', '-w', '-t', 'mangle', '-A', 'OUTPUT', ...rule]), '');
  }
  await world.start(client, [acceptAll, `${QUEUE_NUMBER}`]);
  return client;
}

/** Which queue this kernel offers. Changes nothing. */
export async function queueKind(): Promise<'nft' | 'xtables'> {
  const { status } = await runProgram(['unshare', '--net', 'nft', '-c', '-f', '-'], {
    input: outputChain(0, `queue num ${QUEUE_NUMBER}`),
  });
  return status === 0 ? 'nft' : 'xtables';
}

function outputChain(priority: number, rule: string): string {
  return `table inet bench {\n chain output {\n  type filter hook output priority ${priority}\n  ${rule}\n }\n}\n`;
}

function nft(client: Client, batch: string): Promise<void> {
  return succeed(client.inside(['nft', '-f', '-']), batch);
}

async function succeed(command: readonly string[], input: string): Promise<void> {
  const { status, stderr } = await runProgram(command, { input });
  if (status !== 0) throw new Error(`${command.join(' ')}: ${stderr.trim()}`);
}
