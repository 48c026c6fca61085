/** Decisions in people's words: the same in `watch`, `explain` and the lab. */
import type { Decision, Reason, Rejected, Way } from './decision.ts';
import { durationText } from './duration.ts';
import type { AppMatch } from './match-app.ts';
import type { Bound, Layer, SourceLocation, Via } from './model.ts';
import { matchKey } from './policy-source.ts';

/** "wifi", "system", "local", "inbound": what `watch` shows in its column. */
export function wayName(way: Way): string {
  return way.kind === 'uplink' ? way.name : way.kind;
}

/** "uplink wifi", "the system's route", "directly connected". */
export function describeWay(way: Way): string {
  switch (way.kind) {
    case 'uplink':
      return `uplink ${way.name}`;
    case 'system':
      return "the system's route";
    case 'local':
      return 'directly connected';
    case 'inbound':
      return 'came in';
  }
}

/** `FILE:LINE`; what no file states has no line. */
export function describeLocation({ file, line }: SourceLocation): string {
  return file.startsWith('/') || line > 1 ? `${file}:${line}` : file;
}

/** Why a program is an application: `exec /usr/bin/curl`, `exec /usr/bin/curl by package curl`, `parent steam`. */
export function describeMatch(match: AppMatch['match']): string {
  if (match.kind === 'children') return `parent ${match.value} (children: same)`;
  return `${matchKey(match)}${match.fromPackage === undefined ? '' : ` by package ${match.fromPackage}`}`;
}

/** The place that a reason points to, where there is one. */
export function reasonLocation(reason: Reason): SourceLocation | undefined {
  switch (reason.kind) {
    case 'rule':
    case 'implied':
    case 'otherwise':
    case 'system-default':
    case 'unknown-owner':
    case 'name-not-known':
    case 'no-uplink-yet':
    case 'accept':
    case 'not-accepted':
    case 'user-mode-refused':
      return reason.at;
    case 'user-mode-networking':
      return reasonLocation(reason.strictest);
    case 'tunnel':
    case 'kernel':
    case 'accept-all':
    case 'loopback':
    case 'inbound':
    case 'forwarded':
    case 'housekeeping':
    case 'blocked-app':
    case 'daemon':
      return undefined;
  }
}

const layerWord = (layer: Layer): string => (layer === 'locks' ? 'lock' : layer);

const acceptLayer = (layer: Layer | undefined): string => (layer === undefined ? 'system default' : layerWord(layer));

function behind({ app, strictest }: Extract<Reason, { readonly kind: 'user-mode-networking' }>): string {
  return `${app === undefined ? '' : `${app}, `}${words(strictest)}`;
}

function words(reason: Reason): string {
  switch (reason.kind) {
    case 'rule':
      return `rule ${reason.index + 1} (${layerWord(reason.layer)}): ${reason.entry}`;
    case 'implied':
      return `implied by a rule that names a host (${layerWord(reason.layer)}): ${reason.entry}`;
    case 'otherwise':
      return `otherwise (${layerWord(reason.layer)})`;
    case 'system-default':
      return 'system default';
    case 'unknown-owner':
      return `unknown program, because ${reason.because}`;
    case 'accept':
      return `accept (${acceptLayer(reason.layer)}): ${reason.entry}`;
    case 'not-accepted':
      return `accept (${acceptLayer(reason.layer)}) has no entry for this peer and port`;
    case 'user-mode-networking':
      return `user-mode networking, the strictest of what may be behind it: ${behind(reason)}`;
    case 'user-mode-refused':
      return `user-mode networking: ${reason.because}`;
    case 'tunnel':
      return 'a tunnel of this machine sends it; what goes into the tunnel is decided before';
    case 'kernel':
      return `the kernel itself sends it (${reason.sender}), and no policy names that`;
    case 'accept-all':
      return 'it comes in, and no accept speaks of it';
    case 'loopback':
      return 'loopback, and no rule names it';
    case 'inbound':
      return 'the connection came in before the daemon started';
    case 'forwarded':
      return 'it is forwarded for a container that no policy names';
    case 'housekeeping':
      return `${reason.protocol} always passes`;
    case 'blocked-app':
      return `blocked: ${reason.because}`;
    case 'name-not-known':
      return `the addresses of ${reason.name} are not known yet`;
    case 'no-uplink-yet':
      return `${words(reason.instead)}, and it waits for an uplink that meets via`;
    case 'daemon':
      return "the daemon's own";
  }
}

/** One line: what decided, and where it is written. */
export function describeReason(
  decision: Pick<Decision, 'reason' | 'choice' | 'verdict'> & Partial<Pick<Rejected, 'cause' | 'chosen' | 'tunnel'>>,
): string {
  const at = reasonLocation(decision.reason);
  const refused = decision.cause === 'no-uplink' && decision.choice !== undefined;
  const uplink = refused ? `, no uplink meets via at line ${decision.choice.via.line}` : '';
  const local =
    decision.cause === 'local-blocked' ? `, and via at line ${decision.choice?.via.line} blocks what is local` : '';
  const { choice, tunnel } = decision;
  const into =
    tunnel === undefined || choice === undefined
      ? ''
      : `, and via (${describeLocation(choice.via)}) leads into the tunnel ${tunnel}, which this program itself carries`;
  return `${words(decision.reason)}${uplink}${local}${into}${describeChosen(decision.chosen)}${at === undefined ? '' : `, ${describeLocation(at)}`}`;
}

/** `, and not by the device wwan0, but by wlan0`. */
function describeChosen(chosen: Rejected['chosen']): string {
  if (chosen === undefined) return '';
  const { device, permitted } = chosen;
  return `, and not by the device ${device}${permitted.length === 0 ? ', which is not connected to it' : `, but by ${permitted.join(' or ')}`}`;
}

const wanted = (value: string | boolean | readonly string[] | Bound): string =>
  typeof value !== 'object' ? String(value) : 'text' in value ? value.text : value.join(' or ');

/** `via require encrypted: true, avoid metered: true, else block`. */
export function describeVia(via: Via): string {
  const parts = (['require', 'prefer', 'avoid', 'prohibit'] as const).flatMap((word) => {
    const constraint = Object.entries(via[word]).map(([key, value]) => `${key}: ${wanted(value)}`);
    return constraint.length === 0 ? [] : [`${word} ${constraint.join(', ')}`];
  });
  const { share, stickyMs, local } = via;
  const manner = [
    `else ${via.else}`,
    ...(share === undefined ? [] : [`share ${share}`]),
    ...(stickyMs === undefined ? [] : [`sticky ${durationText(stickyMs)}`]),
    ...(local === undefined ? [] : [`local ${local}`]),
  ];
  return `via ${[...parts, ...manner].join('; ')}`;
}
