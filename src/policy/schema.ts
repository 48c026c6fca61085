/**
 * The language as zod schemas: the one source of what is checked, of the JSON Schema files, and of the words that suggestions
 * are taken from. What a schema cannot say (destinations, contradictions) is checked by the `validate-*` files.
 */
import { z } from 'zod';
import { MAX_LIST_ENTRIES } from './document.ts';
import { DURATION_PATTERN } from './duration.ts';
import { KERNEL_SENDERS, type KernelSender } from './kernel-senders.ts';
import type {
  Duration,
  Existing,
  LocalWay,
  MatchKind,
  Quantity,
  Share,
  UplinkType,
  UserModeNetworking,
  Verb,
  Via,
} from './model.ts';
import { MAC_PATTERN, MAX_SSID_BYTES } from './network-identity.ts';
import { boundPattern, quantityPattern } from './quantity.ts';
import { TIME_PATTERN } from './time-window.ts';

export const LANGUAGE_VERSION = 1;
export const DEFAULT_PRIORITY = 100;
const MAX_PRIORITY = 1000;
const MAX_WEIGHT = 1000;
/** Who gets no answer from eight gets none. */
const MAX_UPLINK_RESOLVERS = 8;
const MAX_UPLINK_NETWORKS = 64;
/** Further ones are a sign of something else than a group of administrators. */
const MAX_TRUSTED_GROUPS = 16;
/** Of users and of groups: the highest number stands for none. */
const MAX_ID = 4_294_967_294;
const MAX_APP_LENGTH = 255;
/** PATH_MAX (linux/limits.h) less the final NUL. */
const MAX_PATH_LENGTH = 4095;
/** Of each kind. */
const MAX_PROBE_TARGETS = 8;
const MAX_URL_LENGTH = 512;

export const APP_PATTERN: RegExp = /^[A-Za-z0-9][A-Za-z0-9._+-]{0,254}$/;
const UPLINK_NAME = /^[a-z][a-z0-9-]{0,14}$/;
/** What dev_valid_name (net/core/dev.c) accepts, less what nft or a shell would read in another way. */
const DEVICE_NAME = /^(?!\.\.?$)[A-Za-z0-9._@+-]{1,15}$/;
const ABSOLUTE_PATH = /^(?!.*\/\.\.?(?:\/|$))(?:\/[^/\n]+)+$/;
const UNIT_NAME = /^[A-Za-z0-9:_.\\@-]+\.(?:service|scope|slice|socket|mount|swap)$/;
/** useradd(8) with the capitals that other sources of users have. */
const USER_NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}\$?$/;
/** groupadd(8), as above. */
const GROUP_NAME = USER_NAME;
/** deb-control(5) with the capitals, `_` and `@` of rpm and pacman; after a colon the architecture. */
const PACKAGE_NAME = /^[A-Za-z0-9][A-Za-z0-9@._+-]*(?::[a-z0-9-]+)?$/;
/** The same without an architecture. */
const PACKAGE_NAME_ALONE = /^[A-Za-z0-9][A-Za-z0-9@._+-]*$/;
/** What Docker and Podman accept as a name; an id is 64 hexadecimal digits, of which the first may do. */
const CONTAINER = /^[A-Za-z0-9][A-Za-z0-9_.-]*$/;
/** flatpak's rules for application ids: three parts or more, and a dash only in the last. */
const FLATPAK_ID = /^[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)+\.[A-Za-z_][A-Za-z0-9_-]*$/;
/** snapd's rules for names of snaps (`_KEY`: one of several instances) and their programs. */
const SNAP_NAME = /^[a-z0-9](?:-?[a-z0-9])*(?:_[a-z0-9]{1,10})?(?:\.[A-Za-z0-9](?:-?[A-Za-z0-9])*)?$/;
/** Desktop Entry Specification, "Desktop File ID". */
const DESKTOP_ID = /^(?!.*\.desktop$)[A-Za-z0-9_][A-Za-z0-9_.-]*$/;
const MAX_NAME_LENGTH = 255;
const MAX_QUANTITY_LENGTH = 64;
const MAX_TIME_LENGTH = 128;
const MAX_MAC_LENGTH = 64;
const ONE_LINE = /^\S(?:.*\S)?$/;

/** Of an uplink the values, of a constraint their bounds. */
export type QuantityFields = { readonly [K in Quantity]?: string | undefined };

export interface ConstraintFields extends QuantityFields {
  readonly name?: string | readonly (string | undefined)[] | undefined;
  readonly type?: UplinkType | readonly (UplinkType | undefined)[] | undefined;
  readonly metered?: boolean | undefined;
  readonly roaming?: boolean | undefined;
  readonly trusted?: boolean | undefined;
  readonly encrypted?: boolean | undefined;
  readonly validated?: boolean | undefined;
}

export interface ViaFields {
  readonly require?: ConstraintFields | undefined;
  readonly prefer?: ConstraintFields | undefined;
  readonly avoid?: ConstraintFields | undefined;
  readonly prohibit?: ConstraintFields | undefined;
  readonly else?: Via['else'] | undefined;
  readonly share?: Share | undefined;
  readonly sticky?: string | undefined;
  readonly local?: 'system' | LocalWay | undefined;
}

export type MatchFields = {
  readonly [K in MatchKind]?:
    | (K extends 'kernel' ? KernelSender : string)
    | (K extends 'user' | 'group' ? number : never)
    | undefined;
};

export interface RuleFields {
  readonly to?: string | readonly (string | undefined)[] | undefined;
  readonly do?: Verb | undefined;
  readonly via?: ViaFields | undefined;
  readonly during?: string | readonly (string | undefined)[] | undefined;
}

/** What a file says, as far as the schema accepts it: anything may be missing, because the file may have mistakes. */
export interface PolicyFields {
  readonly app?: string | undefined;
  readonly name?: string | undefined;
  readonly match?: readonly (MatchFields | undefined)[] | undefined;
  readonly rules?: readonly (RuleFields | undefined)[] | undefined;
  readonly otherwise?: Verb | undefined;
  readonly below?: 'cut' | 'keep' | undefined;
  readonly via?: ViaFields | undefined;
  readonly accept?: AcceptFields | undefined;
  readonly children?: 'same' | 'own' | undefined;
  readonly existing?: Existing | undefined;
  readonly needs?: { readonly duration?: Duration | undefined } | undefined;
}

export type AcceptFields = string | readonly (string | undefined)[];

export interface UplinkFields extends QuantityFields {
  readonly uplink?: string | undefined;
  readonly device?: string | undefined;
  readonly priority?: number | undefined;
  readonly weight?: number | undefined;
  readonly type?: UplinkType | undefined;
  readonly metered?: boolean | undefined;
  readonly roaming?: boolean | undefined;
  readonly trusted?: boolean | undefined;
  readonly encrypted?: boolean | undefined;
  readonly gateway?: { readonly v4?: string | undefined; readonly v6?: string | undefined } | undefined;
  readonly resolvers?: readonly (string | undefined)[] | undefined;
  readonly networks?: readonly (string | undefined)[] | undefined;
  readonly probe?: 'off' | ProbeFields | undefined;
}

export interface ProbeFields {
  readonly icmp?: string | readonly (string | undefined)[] | undefined;
  readonly tcp?: string | readonly (string | undefined)[] | undefined;
  readonly http?: string | undefined;
  readonly dns?: { readonly server?: string | undefined; readonly name?: string | undefined } | undefined;
  readonly interval?: string | undefined;
}

export interface WhenFields {
  readonly uplink?: string | readonly (string | undefined)[] | undefined;
  readonly ssid?: string | readonly (string | undefined)[] | undefined;
  readonly gateway?: string | readonly (string | undefined)[] | undefined;
  readonly domain?: string | readonly (string | undefined)[] | undefined;
  readonly time?: string | readonly (string | undefined)[] | undefined;
}

export interface ProfileFields {
  readonly profile?: string | undefined;
  readonly when?: readonly (WhenFields | undefined)[] | undefined;
}

export interface SystemDefaultFields {
  readonly otherwise?: Verb | undefined;
  readonly via?: ViaFields | undefined;
  readonly unknown?: Verb | undefined;
  readonly accept?: AcceptFields | undefined;
  readonly whenAway?: 'closed' | 'open' | undefined;
  readonly uplinks?: 'files' | 'discovered' | undefined;
  readonly 'trust-found'?: boolean | undefined;
  readonly 'user-mode-networking'?: UserModeNetworking | undefined;
  readonly trust?: { readonly groups?: readonly (string | number | undefined)[] | undefined } | undefined;
}

export interface PackagesFields {
  readonly packages?: readonly (string | undefined)[] | undefined;
}

const version = z.literal(LANGUAGE_VERSION).describe('Version of the policy language.');
const verb = z.enum(['allow', 'deny', 'drop']);
const uplinkType = z.enum(['ethernet', 'wifi', 'cellular', 'vpn', 'satellite', 'bluetooth', 'other']);
const uplinkName = z
  .string()
  .regex(UPLINK_NAME, 'an uplink name starts with a letter and has at most 15 of a-z, 0-9 and -');
const profileName = z
  .string()
  .regex(UPLINK_NAME, 'a profile name starts with a letter and has at most 15 of a-z, 0-9 and -');
const path = z
  .string()
  .max(MAX_PATH_LENGTH)
  .regex(ABSOLUTE_PATH, 'the path must be absolute, without "//", "/./", "/../" and a "/" at its end');
const property = {
  metered: z.boolean().describe('Traffic costs money or counts against a limit.').optional(),
  roaming: z.boolean().describe('Uses the network of a foreign operator.').optional(),
  trusted: z.boolean().describe('The network is under control of someone you trust.').optional(),
  encrypted: z.boolean().describe('Everything that leaves by it is encrypted, as in a VPN.').optional(),
};

const quantityOf = (quantity: Quantity, pattern: (of: Quantity) => string, what: string) =>
  z
    .string()
    .max(MAX_QUANTITY_LENGTH)
    .meta({ pattern: pattern(quantity) })
    .describe(what)
    .optional();

const constraintShape = {
  name: oneOrList(uplinkName).describe('Name of an uplink, or a list of which any will do.').optional(),
  type: oneOrList(uplinkType).describe('Type of uplink, or a list of which any will do.').optional(),
  ...property,
  validated: z.boolean().describe('Probes reach somebody beyond the gateway by it.').optional(),
  rtt: quantityOf('rtt', boundPattern, 'Bound on the round-trip time, such as "<80ms".'),
  loss: quantityOf('loss', boundPattern, 'Bound on the share of packets that are lost, such as ">5%".'),
  bandwidth: quantityOf('bandwidth', boundPattern, 'Bound on the bandwidth, such as ">=10mbit".'),
};
const constraint = z.strictObject(constraintShape);

const viaShape = {
  require: constraint.describe('Every one of these must hold for an uplink to be used.').optional(),
  prefer: constraint.describe('Uplinks for which these hold come first.').optional(),
  avoid: constraint.describe('Uplinks for which these hold come last.').optional(),
  prohibit: constraint.describe('An uplink for which one of these holds is never used.').optional(),
  else: z
    .enum(['block', 'wait', 'any'])
    .describe(
      'When no uplink will do: refuse (block), hold the connection for 3 seconds first (wait), or take any that is up.',
    )
    .optional(),
  share: z
    .enum(['connection', 'destination', 'app'])
    .describe('Uplinks that are equally good share by weight: each connection, each destination or each app has one.')
    .optional(),
  sticky: z
    .string()
    .max(MAX_QUANTITY_LENGTH)
    .meta({ pattern: DURATION_PATTERN })
    .describe('So long another uplink has to come first before new connections go over to it, such as "10m".')
    .optional(),
  local: z
    .enum(['system', 'via', 'block'])
    .describe(
      'Local networks and the link itself: reached directly (system), by the uplink as everything else (via), or refused (block). `system` if absent.',
    )
    .optional(),
};
const via = z.strictObject(viaShape);

function nameOf(pattern: RegExp, mistake: string): z.ZodString {
  return z.string().max(MAX_NAME_LENGTH).regex(pattern, mistake);
}

function nameOrNumber(pattern: RegExp, mistake: string): z.ZodUnion<[z.ZodString, z.ZodInt]> {
  return z.union([z.string().regex(pattern, mistake), z.int().min(0).max(MAX_ID)]);
}

const matchShape = {
  exec: path.describe('Absolute path of the executable.').optional(),
  script: path.describe('Absolute path of a script, whatever interpreter runs it.').optional(),
  package: nameOf(PACKAGE_NAME, 'no package name such as "example-mail" or "example-mail:amd64"')
    .describe('Installed package: every program in it.')
    .optional(),
  cgroup: path.describe('Path of a cgroup below the cgroup2 root; covers everything inside it.').optional(),
  unit: nameOf(UNIT_NAME, 'no systemd unit name such as "example.service"').describe('systemd unit.').optional(),
  container: nameOf(CONTAINER, "neither a container's name nor at least 12 hexadecimal digits of its id")
    .describe('Container or machine: its name, or at least 12 hexadecimal digits of its id.')
    .optional(),
  flatpak: nameOf(FLATPAK_ID, 'no Flatpak application id such as "org.example.Mail"')
    .describe('Id of a Flatpak application.')
    .optional(),
  snap: nameOf(SNAP_NAME, 'no snap such as "example-mail", nor one of its programs such as "example-mail.daemon"')
    .describe('Snap, or one program of it as SNAP.PROGRAM.')
    .optional(),
  desktop: nameOf(DESKTOP_ID, 'no desktop file id: it is the name of the file without ".desktop"')
    .describe('Application that the desktop started: the name of its desktop file without ".desktop".')
    .optional(),
  user: nameOrNumber(USER_NAME, 'no user name or uid').describe('User name or uid.').optional(),
  group: nameOrNumber(GROUP_NAME, 'no group name or gid').describe('Group name or gid.').optional(),
  kernel: z
    .enum(KERNEL_SENDERS)
    .describe('What the kernel itself sends: of WireGuard, NFS, CIFS, or anything else that no process sends.')
    .optional(),
} satisfies Record<MatchKind, z.ZodType>;
const matchEntry = z.strictObject(matchShape).meta({ minProperties: 1, maxProperties: 1 });

const ruleShape = {
  to: oneOrList(z.string().min(1)).describe('Destination HOST[:PORTS][/PROTOCOL], or a list of them.'),
  do: verb.describe('What happens to a connection that goes there.'),
  via: via.describe('Which way out it takes.').optional(),
  during: oneOrList(profileName)
    .describe('Profile, or a list of which any will do: else the rule does not hold.')
    .optional(),
};
const rule = z.strictObject(ruleShape);

const accept = z.union([z.string().min(1), z.array(z.string().min(1)).max(MAX_LIST_ENTRIES)]);
const existing = z
  .enum(['keep', 'drain', 'abort'])
  .describe(
    'Live connections stay on their uplink (keep), are ended when it is down (drain), or as soon as another would be chosen for them now (abort). `keep` if absent.',
  );
const needsShape = {
  duration: z
    .enum(['long', 'short'])
    .describe('Connections that last long are never moved to a better uplink while their own works. `short` if absent.')
    .optional(),
};
const policyShape = {
  pointsman: version,
  app: z
    .string()
    .max(MAX_APP_LENGTH)
    .regex(APP_PATTERN, 'an app id has letters, digits and ". _ + -", such as org.example.Mail')
    .describe('Identity of the application: reverse-DNS or package name.'),
  name: z
    .string()
    .max(128)
    .regex(ONE_LINE, 'the name must be one line of text')
    .describe('Name for people.')
    .optional(),
  match: z
    .array(matchEntry)
    .max(MAX_LIST_ENTRIES)
    .describe('What a process must be to be this application.')
    .optional(),
  rules: z.array(rule).max(MAX_LIST_ENTRIES).describe('Tried in this order; the first that fits decides.').optional(),
  otherwise: verb.describe('What happens when no rule fits.').optional(),
  below: z
    .enum(['cut', 'keep'])
    .describe(
      'Whether rules that allow in weaker layers come before this `otherwise` (keep), or are not reached (cut). `cut` if absent.',
    )
    .optional(),
  via: via.describe('Which way out, for every allow that states none of its own.').optional(),
  accept: accept
    .describe('Who may connect to it: PEER[:PORTS][/PROTOCOL], or a list of them; the ports are its own.')
    .optional(),
  children: z
    .enum(['same', 'own'])
    .describe('Whether programs that it starts, and that have no policy of their own, count as it. `own` if absent.')
    .optional(),
  existing: existing.optional(),
  needs: z.strictObject(needsShape).describe('What its connections are like.').optional(),
};

const probeTargets = (what: string) =>
  z
    .union([z.string().min(1), z.array(z.string().min(1)).min(1).max(MAX_PROBE_TARGETS)])
    .describe(what)
    .optional();
const dnsProbeShape = {
  server: z.string().describe('Address of a DNS server.'),
  name: z.string().min(1).describe('Name that it is asked for.'),
};
const probeShape = {
  icmp: probeTargets('Addresses that answer ICMP echo requests.'),
  tcp: probeTargets('ADDRESS:PORT that takes TCP connections, or refuses them: either is an answer.'),
  http: z
    .string()
    .max(MAX_URL_LENGTH)
    .describe('URL of which status 204 is the only right answer; another one comes from a captive portal.')
    .optional(),
  dns: z.strictObject(dnsProbeShape).describe('DNS server, and a name to ask it for.').optional(),
  interval: z.string().describe('How often it is asked, such as 10s: 1s to 1h. 10s if absent.').optional(),
};

const uplinkShape = {
  pointsman: version,
  uplink: uplinkName.describe('Name of the uplink; the same as the name of the file.'),
  device: z
    .string()
    .regex(DEVICE_NAME, 'a device name has 1 to 15 letters, digits and ". _ @ + -"')
    .describe('Network device, as `ip link` names it.'),
  priority: z
    .int()
    .min(0)
    .max(MAX_PRIORITY)
    .describe('Among equals the lower is taken first. 100 if absent.')
    .optional(),
  weight: z
    .int()
    .min(1)
    .max(MAX_WEIGHT)
    .describe('Its part where uplinks share: one with 2 gets twice as much as one with 1. 1 if absent.')
    .optional(),
  type: uplinkType.describe('Kind of network. As the kernel tells if absent, else `other`.').optional(),
  ...property,
  bandwidth: quantityOf('bandwidth', quantityPattern, 'Bandwidth, such as 50mbit.'),
  rtt: quantityOf('rtt', quantityPattern, 'Round-trip time where nobody measures it, such as 30ms.'),
  loss: quantityOf('loss', quantityPattern, 'Share of packets that are lost where nobody measures it, such as 1%.'),
  gateway: z
    .strictObject({
      v4: z.string().describe('IPv4 address of the next hop.').optional(),
      v6: z.string().describe('IPv6 address of the next hop.').optional(),
    })
    .describe('Next hops, in place of what the default routes of the kernel tell.')
    .optional(),
  resolvers: z
    .array(z.string().describe('Address of a DNS server.'))
    .min(1)
    .max(MAX_UPLINK_RESOLVERS)
    .describe('DNS servers of that network, for whoever goes that way. The configured ones if absent.')
    .optional(),
  networks: z
    .array(z.string().describe('Network such as 10.0.0.0/8.'))
    .min(1)
    .max(MAX_UPLINK_NETWORKS)
    .describe('Networks that are local on it, also for who asks for an encrypted uplink or one by its name.')
    .optional(),
  probe: z
    .union([z.strictObject(probeShape), z.literal('off')])
    .describe('What is asked whether the uplink works: the gateway, by ICMP, if absent; `off`: nobody.')
    .optional(),
};

const whenShape = {
  uplink: oneOrList(uplinkName).describe('Uplink that is up, or a list of which any will do.').optional(),
  ssid: oneOrList(z.string().meta({ minLength: 1, maxLength: MAX_SSID_BYTES }))
    .describe('Name of the wireless network that an uplink is in, exactly, or a list of which any will do.')
    .optional(),
  gateway: oneOrList(z.string().max(MAX_MAC_LENGTH).meta({ pattern: MAC_PATTERN }))
    .describe('MAC address of the gateway of an uplink, such as "00:00:5e:00:53:01", or a list of which any will do.')
    .optional(),
  domain: oneOrList(z.string().max(MAX_NAME_LENGTH).meta({ minLength: 1 }))
    .describe('DNS domain of the network that an uplink is in, exactly, or a list of which any will do.')
    .optional(),
  time: oneOrList(z.string().max(MAX_TIME_LENGTH).meta({ pattern: TIME_PATTERN }))
    .describe('Days and times such as "Mon-Fri 08:00-18:00", or a list of which any will do.')
    .optional(),
};

const profileShape = {
  pointsman: version,
  profile: profileName.describe('Name of the profile; the same as the name of the file.'),
  when: z
    .array(z.strictObject(whenShape).meta({ minProperties: 1 }))
    .min(1)
    .max(MAX_LIST_ENTRIES)
    .describe('The profile holds while all keys of any entry do.'),
};

const trustShape = {
  groups: z
    .array(
      z.union([
        z.string().regex(GROUP_NAME, 'a group name has 1 to 32 letters, digits and "_ . -"'),
        z.int().min(0).max(MAX_ID),
      ]),
    )
    .min(1)
    .max(MAX_TRUSTED_GROUPS)
    .describe('Groups whose members may change policy, uplink and profile files, by name or number.'),
};

const systemDefaultShape = {
  pointsman: version,
  otherwise: verb
    .describe('For programs without a policy, and policies without `otherwise`. `allow` if absent.')
    .optional(),
  via: via.describe('Which way out, for programs without a policy.').optional(),
  unknown: verb.describe('For packets whose program cannot be found out. As `otherwise` if absent.').optional(),
  accept: accept
    .describe('Who may connect to programs that do not say it themselves: PEER[:PORTS][/PROTOCOL]. Anybody if absent.')
    .optional(),
  whenAway: z
    .enum(['closed', 'open'])
    .describe('New connections that need the daemon while it is not running: refused (closed) or let through (open).')
    .optional(),
  uplinks: z
    .enum(['files', 'discovered'])
    .describe(
      'Uplinks are those that files name (files), or every way out that there is (discovered). `discovered` if absent.',
    )
    .optional(),
  'trust-found': z
    .boolean()
    .describe(
      'Whether a way out that only router advertisements tell of is an uplink, without a file. `false` if absent.',
    )
    .optional(),
  'user-mode-networking': z
    .enum(['strictest', 'default', 'deny'])
    .describe(
      'Connections of pasta, slirp4netns and their like for the namespaces they serve: the strictest of what may be behind them, what holds for a program without a policy (default), or none (deny). `strictest` if absent.',
    )
    .optional(),
  trust: z
    .strictObject(trustShape)
    .describe('Who may change policy, uplink and profile files besides root. Nobody if absent.')
    .optional(),
};

const maskShape = {
  pointsman: version.optional(),
  mask: z.literal(true).describe('There is to be nothing: files of this name in weaker layers count for nothing.'),
  app: policyShape.app.optional(),
  name: policyShape.name,
  uplink: uplinkShape.uplink.optional(),
  profile: profileShape.profile.optional(),
};

/** A file that hides others, or says that there is no such uplink or profile. */
export const maskSchema: z.ZodType = z.strictObject(maskShape);

const packagesShape = {
  pointsman: version,
  packages: z
    .array(nameOf(PACKAGE_NAME_ALONE, 'no package name such as "example-policies"'))
    .max(MAX_LIST_ENTRIES)
    .describe('Packages whose policy files may speak of programs that are not of their own source package.'),
};

export const policySchema: z.ZodType<PolicyFields> = z.strictObject(policyShape);
export const uplinkSchema: z.ZodType<UplinkFields> = z.strictObject(uplinkShape);
export const profileSchema: z.ZodType<ProfileFields> = z.strictObject(profileShape);
export const systemDefaultSchema: z.ZodType<SystemDefaultFields> = z.strictObject(systemDefaultShape);
export const packagesSchema: z.ZodType<PackagesFields> = z.strictObject(packagesShape);

/** Which map of a file a key stands in. */
export type Context =
  | 'policy'
  | 'uplink'
  | 'default'
  | 'packages'
  | 'match'
  | 'rules'
  | 'via'
  | 'constraint'
  | 'gateway'
  | 'needs'
  | 'profile'
  | 'when'
  | 'probe'
  | 'dns'
  | 'trust';

export const CONTEXT_KEYS: Readonly<Record<Context, readonly string[]>> = {
  policy: ['mask', ...Object.keys(policyShape)],
  uplink: ['mask', ...Object.keys(uplinkShape)],
  default: ['mask', ...Object.keys(systemDefaultShape)],
  packages: ['mask', ...Object.keys(packagesShape)],
  match: Object.keys(matchShape),
  rules: Object.keys(ruleShape),
  via: Object.keys(viaShape),
  constraint: Object.keys(constraintShape),
  gateway: ['v4', 'v6'],
  needs: Object.keys(needsShape),
  profile: ['mask', ...Object.keys(profileShape)],
  when: Object.keys(whenShape),
  probe: Object.keys(probeShape),
  dns: Object.keys(dnsProbeShape),
  trust: Object.keys(trustShape),
};

function oneOrList<T extends z.ZodType<string>>(entry: T): z.ZodUnion<[T, z.ZodArray<T>]> {
  return z.union([entry, z.array(entry).min(1).max(MAX_LIST_ENTRIES)]);
}
