import { describe, expect, it } from 'vitest';
import { parseAddress } from '../net/address.ts';
import type { Flow } from '../net/flow.ts';
import { IPPROTO_TCP, IPPROTO_UDP } from '../net/protocol.ts';
import { type DecideContext, decide } from './decide.ts';
import { decideAsApp } from './decide-as-app.ts';
import type { EffectivePolicy, PolicySet } from './effective-policy.ts';
import type { KernelSender } from './kernel-senders.ts';
import { indexApps } from './match-app.ts';
import type { Verb, Via } from './model.ts';

const at = { file: 'a.yaml', line: 1, column: 1 };
const address = (text: string) => parseAddress(text) ?? expect.fail(text);
const END = '203.0.113.9';
const VIA_NONE: Via = { require: { name: ['vpn'] }, prefer: {}, avoid: {}, prohibit: {}, else: 'block', at };

function policyOf(sender: KernelSender, otherwise?: Verb): EffectivePolicy {
  return {
    app: `app-${sender}`,
    match: [{ kind: 'kernel', value: sender, at }],
    rules: [],
    files: [],
    ...(otherwise !== undefined && { otherwise: { value: { do: otherwise, at }, layer: 'administrator' } }),
  };
}

function contextOf(apps: readonly EffectivePolicy[], otherwise: Verb, via?: Via): DecideContext {
  const systemDefault = {
    otherwise: { do: otherwise, at },
    unknown: { do: 'deny' as const, at },
    whenAway: 'closed' as const,
  };
  const policySet: PolicySet = {
    apps,
    uplinks: [],
    systemDefault: { ...systemDefault, ...(via !== undefined && { via }) },
  };
  const facts = {
    uplinks: [],
    onLink: [],
    resolvers: [],
    names: new Map(),
    users: new Map(),
    groups: new Map(),
    packages: new Map(),
    containers: new Map(),
    tunnelEnds: [address(END)],
    wireGuardPorts: [51_821],
  };
  return { policySet, index: indexApps(policySet), facts, nowMs: 0, unknownNames: 'no-match' };
}

const flowOf = (protocol: number, sourcePort: number, to: string, destinationPort: number): Flow => ({
  protocol,
  source: address('10.9.0.2'),
  destination: address(to),
  sourcePort,
  destinationPort,
  loopback: false,
});
const NFS = flowOf(IPPROTO_TCP, 882, '198.51.100.7', 2049);
const WIREGUARD = flowOf(IPPROTO_UDP, 51_821, END, 51_820);
const OVERLAY = flowOf(IPPROTO_UDP, 40_000, END, 4789);
const said = ({ verdict, app, reason }: ReturnType<typeof decide>) => [verdict, app, reason.kind];
const KERNEL = { kind: 'kernel' } as const;

describe('decide() on what the kernel itself sends', () => {
  it('allows it where no policy names it, whatever the default says', () => {
    expect(said(decide(contextOf([], 'deny'), KERNEL, NFS))).toEqual(['accept', undefined, 'kernel']);
    expect(said(decide(contextOf([policyOf('other', 'deny')], 'drop'), KERNEL, NFS))).toEqual([
      'accept',
      undefined,
      'kernel',
    ]);
  });

  it('holds it to the via of the default', () => {
    expect(said(decide(contextOf([], 'allow', VIA_NONE), KERNEL, NFS))).toEqual(['reject', undefined, 'kernel']);
    expect(said(decide(contextOf([policyOf('nfs')], 'deny', VIA_NONE), KERNEL, NFS))).toEqual([
      'reject',
      'app-nfs',
      'kernel',
    ]);
  });

  it('holds it to the policy that names it, also by that name alone', () => {
    const nfs = policyOf('nfs', 'deny');
    const context = contextOf([nfs], 'allow');
    expect(said(decide(context, KERNEL, NFS))).toEqual(['reject', 'app-nfs', 'otherwise']);
    expect(said(decideAsApp(context, nfs, NFS))).toEqual(['reject', 'app-nfs', 'otherwise']);
    expect(said(decide(context, { kind: 'kernel', sender: 'cifs' }, NFS))).toEqual(['accept', undefined, 'kernel']);
  });

  it('allows it where its policy says nothing of it', () => {
    const nfs = policyOf('nfs');
    expect(said(decide(contextOf([nfs], 'deny'), KERNEL, NFS))).toEqual(['accept', 'app-nfs', 'kernel']);
    expect(said(decideAsApp(contextOf([nfs], 'deny'), nfs, NFS))).toEqual(['accept', 'app-nfs', 'kernel']);
  });

  it('lets no via of the default lead what carries a tunnel', () => {
    for (const apps of [[], [policyOf('wireguard')], [policyOf('other', 'deny')]])
      expect(said(decide(contextOf(apps, 'deny', VIA_NONE), KERNEL, WIREGUARD))).toEqual([
        'accept',
        undefined,
        'tunnel',
      ]);
    expect(said(decide(contextOf([policyOf('other', 'deny')], 'deny'), KERNEL, OVERLAY))).toEqual([
      'accept',
      undefined,
      'tunnel',
    ]);
    expect(said(decide(contextOf([policyOf('wireguard', 'deny')], 'allow'), KERNEL, WIREGUARD))).toEqual([
      'reject',
      'app-wireguard',
      'otherwise',
    ]);
  });

  it.each([
    ['wireguard', 'other'],
    ['other', 'wireguard'],
    ['nfs', 'wireguard'],
  ] as const)('comes to the same by the number of a policy that names %s and %s', (first, second) => {
    const both = policyOf(first, 'deny');
    const policy = { ...both, match: [...both.match, { kind: 'kernel', value: second, at } as const] };
    const context = contextOf([policy], 'allow');
    expect(said(decideAsApp(context, policy, WIREGUARD))).toEqual(said(decide(context, KERNEL, WIREGUARD)));
    expect(decideAsApp(context, policy, WIREGUARD).verdict).toBe('reject');
  });

  it('leaves what comes in, and loopback, to the default', () => {
    const context = contextOf([policyOf('nfs', 'deny')], 'deny');
    expect(decide(context, KERNEL, { ...NFS, inbound: true }).verdict).toBe('accept');
    expect(decide(context, KERNEL, { ...NFS, loopback: true }).verdict).toBe('accept');
  });
});
