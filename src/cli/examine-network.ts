/** What a machine's network and files are like, as far as policies depend on it. */
import { readdirSync } from 'node:fs';
import type { Finding } from '../api/doctor.ts';
import type { UplinkReport, UplinksReport } from '../api/uplinks.ts';
import { formatAddress } from '../net/address.ts';
import { counted } from '../net/counted.ts';
import { DNS_RELAY_PORT } from '../plan/reserved.ts';
import type { Paths } from '../store/paths.ts';
import { forwardedFamilies } from '../watch/forwarding.ts';
import { packageManager } from '../watch/package-manager.ts';
import { readText } from '../watch/read-text.ts';
import { asksBySocket, configuredResolvers } from '../watch/resolvers.ts';
import { firstUnprivilegedPort } from '../watch/unprivileged-ports.ts';
import { checkInstalled } from './check-files.ts';
import { downText } from './render-uplinks.ts';

const SYSCTL = '/proc/sys/net';
const MAX_BYTES = 64 * 1024;
/** rp_filter, Documentation/networking/ip-sysctl.rst: a packet is dropped where its sender would not be reached by the device. */
const STRICT = 1;

export function examineNetwork({ uplinks }: UplinksReport): readonly Finding[] {
  return [...uplinkFindings(uplinks), ...reversePaths(uplinks), forwarding(), ...resolvers(), services(), packages()];
}

function uplinkFindings(uplinks: readonly UplinkReport[]): readonly Finding[] {
  if (uplinks.length === 0) {
    const message = 'none: no device has a default route, and no file names one';
    return [{ part: 'uplinks', state: 'limited', message, mend: 'sudo ip route add default via GATEWAY dev DEVICE' }];
  }
  return uplinks.map((uplink) => ({ part: `uplink ${uplink.name}`, ...uplinkFinding(uplink) }));
}

function uplinkFinding({ name, device, state, downBecause, v4, v6 }: UplinkReport): Omit<Finding, 'part'> {
  switch (state) {
    case 'up': {
      const families = [...(v4 ? ['IPv4'] : []), ...(v6 ? ['IPv6'] : [])].join(' and ');
      return { state: 'ok', message: `up by ${device}, ${families}` };
    }
    case 'down': {
      const because = downBecause === undefined ? '' : `: ${downText(downBecause, device)}`;
      return { state: 'limited', message: `down${because}` };
    }
    case 'no device': {
      const mend = `the name in /etc/pointsman/uplinks/${name}.yaml, as ip link shows it`;
      return { state: 'limited', message: `there is no device ${device}`, mend };
    }
    case 'not taken': {
      const message = `${device} is announced by the network alone, and taken by nobody`;
      return {
        state: 'limited',
        message,
        mend: 'a file for it in /etc/pointsman/uplinks, or trust-found: true in default.yaml',
      };
    }
  }
}

/** Answers that come by another uplink than the system's are dropped before anything of ours sees them. */
function reversePaths(uplinks: readonly UplinkReport[]): readonly Finding[] {
  const part = 'reverse path filter';
  const devices = [...new Set(uplinks.filter(({ state }) => state !== 'no device').map(({ device }) => device))];
  const all = numberOf('ipv4/conf/all/rp_filter');
  // Of the two the larger holds.
  const strict = devices.filter((device) => Math.max(all, numberOf(`ipv4/conf/${device}/rp_filter`)) === STRICT);
  if (devices.length < 2 || strict.length === 0) return [{ part, state: 'ok', message: 'not strict where it matters' }];
  const message = `strict on ${strict.join(', ')}: what is translated or forwarded by an uplink that is not the system's gets no answers`;
  return [{ part, state: 'limited', message, mend: `sudo sysctl -w net.ipv4.conf.all.rp_filter=2` }];
}

function forwarding(): Finding {
  const part = 'forwarding';
  const families = forwardedFamilies().map((family) => `IPv${family}`);
  if (families.length === 0) return { part, state: 'ok', message: 'this machine forwards for nobody' };
  const message = `this machine forwards ${families.join(' and ')} for others: containers that a policy names are governed, all else that is forwarded is not`;
  return {
    part,
    state: 'limited',
    message,
    mend: 'sudo sysctl -w net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0',
  };
}

function resolvers(): readonly Finding[] {
  const part = 'resolvers';
  const { resolvers: configured, loopback } = configuredResolvers();
  const all = [...configured, ...loopback].map(formatAddress);
  const findings: Finding[] = [];
  if (all.length === 0) {
    const message = 'none in /etc/resolv.conf: names in rules get no addresses';
    findings.push({ part, state: 'limited', message, mend: 'a line "nameserver ADDRESS" in /etc/resolv.conf' });
  } else if (asksBySocket()) {
    const message =
      'programs ask systemd-resolved by its socket, which does not say who asks: their queries go by the system’s route';
    findings.push({
      part,
      state: 'limited',
      message,
      mend: 'take "resolve" out of the line "hosts:" in /etc/nsswitch.conf',
    });
  } else findings.push({ part, state: 'ok', message: all.join(', ') });
  if (firstUnprivilegedPort() <= DNS_RELAY_PORT) {
    const message = `anybody may listen on port ${DNS_RELAY_PORT}, where queries are redirected to, while no daemon does`;
    findings.push({
      part,
      state: 'limited',
      message,
      mend: `sudo sysctl -w net.ipv4.ip_unprivileged_port_start=${DNS_RELAY_PORT + 1}`,
    });
  }
  return findings;
}

function services(): Finding {
  const part = 'systemd';
  if (readText('/proc/1/comm', MAX_BYTES).trim() === 'systemd')
    return { part, state: 'ok', message: 'its units can be named' };
  const message = 'process 1 is not systemd: entries by unit, desktop, flatpak and snap fit nothing';
  return { part, state: 'limited', message, mend: 'name programs by exec, script, user or cgroup' };
}

function packages(): Finding {
  const part = 'packages';
  const manager = packageManager();
  if (manager === 'dpkg') return { part, state: 'ok', message: 'dpkg' };
  const message = `${manager ?? 'no package manager that is known'}: entries by package fit nothing`;
  return { part, state: 'limited', message, mend: 'name executables instead' };
}

/** Mistakes in them, and who can change them. */
export function examineFiles(paths: Paths): Finding {
  const part = 'files';
  const unreadable = [paths.administratorPolicies, paths.uplinks].filter((directory) => !mayList(directory));
  if (unreadable.length > 0)
    return { part, state: 'not seen', message: `only others may read ${unreadable.join(', ')}` };
  const { files, errors, warnings } = checkInstalled(paths);
  if (errors > 0)
    return {
      part,
      state: 'broken',
      message: `${counted(errors, 'mistake')} in ${counted(files, 'file')}`,
      mend: 'pointsman check',
    };
  if (warnings > 0)
    return {
      part,
      state: 'limited',
      message: `${counted(warnings, 'warning')} in ${counted(files, 'file')}`,
      mend: 'pointsman check',
    };
  if (files === 0) return { part, state: 'ok', message: 'none yet: every program connects as without pointsman' };
  return { part, state: 'ok', message: `${counted(files, 'file')}, no mistakes` };
}

function mayList(directory: string): boolean {
  try {
    readdirSync(directory);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT';
  }
}

/** 0 where it is not there. */
function numberOf(path: string): number {
  const text = readText(`${SYSCTL}/${path}`, MAX_BYTES).trim();
  return /^\d+$/.test(text) ? Number(text) : 0;
}
