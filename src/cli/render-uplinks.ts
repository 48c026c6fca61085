/** `uplinks` for people: all in one table, then each with what it is, who uses it and who does not. */
import type { PassedOver, UplinkReport, UplinksReport } from '../api/uplinks.ts';
import { printable } from '../net/printable.ts';
import { NOT_TAKEN_BECAUSE } from '../policy/choose-uplink.ts';
import type { DownCause } from '../policy/facts.ts';
import type { ShownProperty } from '../policy/shown-properties.ts';
import { type Paint, painter, type Style } from './paint.ts';
import { bytesText, totalNotes, totalText, trafficNotes, trafficText } from './render-traffic.ts';
import { type Cell, renderTable } from './text-table.ts';

/** Applications with connections that are shown of each uplink. */
const MAX_USERS_SHOWN = 8;
const STATE_STYLES: Readonly<Record<UplinkReport['state'], Style>> = {
  up: 'green',
  down: 'red',
  'no device': 'yellow',
  'not taken': 'yellow',
};

/** Ends with a newline. */
export function renderUplinks(report: UplinksReport, options: { readonly colour: boolean }): string {
  const paint = painter(options.colour);
  const { uplinks } = report;
  const notes = [...trafficNotes(report), ...totalNotes(report.totals)];
  if (uplinks.length === 0) return `No uplinks: every connection takes the system’s route.\n`;
  const table = renderTable({ head: HEAD, rows: uplinks.map(summary) }, paint);
  const sections = [...uplinks.map((uplink) => details(uplink, paint)), others(report, paint)];
  const parts = [table, ...sections, notes].filter((lines) => lines.length > 0);
  return `${parts.map((lines) => lines.join('\n')).join('\n\n')}\n`;
}

const HEAD = ['UPLINK', 'STATE', 'DEVICE', 'IP', 'TYPE', 'CONNECTIONS', 'TRAFFIC'];

function summary({ name, state, device, v4, v6, properties, traffic }: UplinkReport): readonly Cell[] {
  const type = properties.find((property) => property.name === 'type')?.value ?? '';
  const flags = properties.filter(({ value }) => value === 'yes').map((property) => property.name);
  return [
    name,
    { text: state, style: STATE_STYLES[state] },
    device,
    [...(v4 ? ['4'] : []), ...(v6 ? ['6'] : [])].join('+') || '-',
    [type, ...flags].join(', '),
    `${traffic.connections}`,
    traffic.bytes === undefined ? '-' : bytesText(traffic.bytes),
  ];
}

function details(uplink: UplinkReport, paint: Paint): readonly string[] {
  const { name, discovered, connection, technologies, operator } = uplink;
  const called = connection === undefined ? '' : ` "${printable(connection)}"`;
  const radio = [operator, technologies.join(', ')].filter((part) => part !== undefined && part !== '').join(', ');
  const head = [`${paint(printable(name), 'bold')}${called}`, ...(radio === '' ? [] : [printable(radio)])].join(', ');
  const rows: (readonly [string, string])[] = [
    ...list('not taken', uplink.state === 'not taken' ? [NOT_TAKEN_BECAUSE] : []),
    ...list('down', uplink.downBecause === undefined ? [] : [downText(uplink.downBecause, uplink.device)]),
    ...list('addresses', uplink.addresses),
    ...list('gateways', uplink.gateways),
    ...list('not believed', notBelievedTexts(uplink.notBelieved)),
    ...networkRows(uplink.network),
    ...list('DNS servers', uplink.dns),
    ...propertyRows(uplink.properties),
    ['priority', discovered ? `${uplink.priority} (kernel)` : `${uplink.priority} (file)`],
    ...healthRows(uplink.health),
    ...usedBy(uplink),
    ...sinceStart(uplink.totals ?? []),
    ...reasons('taken by', uplink.takenBy),
    ...reasons('not by', uplink.passedOver),
  ];
  return [`${head}${discovered ? paint('  (no file names it)', 'dim') : ''}`, ...labelled(rows, paint)];
}

/** A label that is that of the row above is left out. */
function labelled(rows: readonly (readonly [string, string])[], paint: Paint): readonly string[] {
  const cells = rows.map(([label, text], i): readonly Cell[] => [
    { text: rows[i - 1]?.[0] === label ? '' : label, style: 'dim' },
    text,
  ]);
  return renderTable({ indent: '  ', rows: cells }, paint);
}

const list = (label: string, texts: readonly string[]): (readonly [string, string])[] =>
  texts.length === 0 ? [] : [[label, texts.join(', ')]];

/** What is missing, and what a person does about it. */
export function downText(because: DownCause, device: string): string {
  switch (because) {
    case 'device down':
      return `its device is down: sudo ip link set ${device} up`;
    case 'no carrier':
      return 'no carrier: nobody is at the other end';
    case 'no address':
      return 'its device has no address that something new could have';
    case 'no default route':
      return 'no default route by its device: add "gateway: { v4: ADDRESS }" to its file';
  }
}

const notBelievedTexts = (networks: readonly string[] = []): readonly string[] =>
  networks.length === 0
    ? []
    : [
        `${networks.join(', ')} to be local, where a via asks for encrypted, trusted or a name; "networks" in its file states it`,
      ];

/** By the keys of profiles. */
function networkRows({
  ssid,
  gatewayMacs = [],
  domains = [],
}: UplinkReport['network'] = {}): (readonly [string, string])[] {
  return [
    ...list('SSID', ssid === undefined ? [] : [`"${printable(ssid)}"`]),
    ...list('gateway MAC', gatewayMacs),
    ...list('domains', domains),
  ];
}

/** What nobody says anything about stands in one line. */
function propertyRows(properties: readonly ShownProperty[]): (readonly [string, string])[] {
  const told = properties.filter(({ source }) => source !== 'default');
  const others = properties.filter(({ source }) => source === 'default');
  const words = others.map(({ name, value }) => (value === 'no' ? `not ${name}` : `${name} ${value}`));
  return [
    ...told.map(({ name, value, source }): readonly [string, string] => [name, `${value} (${source})`]),
    ...list('by default', words),
  ];
}

function healthRows(health: UplinkReport['health']): (readonly [string, string])[] {
  if (health === undefined) return [];
  return (['v4', 'v6'] as const).flatMap((family) => {
    const of = health[family];
    if (of === undefined) return [];
    const words = [
      of.state,
      ...(of.rttMs === undefined ? [] : [`${Math.round(of.rttMs)} ms`]),
      ...(of.lossRatio === undefined ? [] : [`${Math.round(of.lossRatio * 100)} % loss`]),
      ...(of.captivePortal ? ['captive portal'] : []),
    ];
    return [[`health IP${family}`, words.join(', ')] as const];
  });
}

const usedBy = ({ usedBy: users }: UplinkReport): (readonly [string, string])[] =>
  firstOf(
    'used by',
    users.map((user) => `${user.app}: ${trafficText(user)}`),
  );

const sinceStart = (totals: NonNullable<UplinkReport['totals']>): (readonly [string, string])[] =>
  firstOf(
    'since start',
    totals.map((total) => `${total.app}: ${totalText(total)}`),
  );

function firstOf(label: string, texts: readonly string[]): (readonly [string, string])[] {
  const shown = texts.slice(0, MAX_USERS_SHOWN);
  const more = texts.length - shown.length;
  return [...shown, ...(more > 0 ? [`and ${more} more`] : [])].map((text) => [label, text] as const);
}

const reasons = (label: string, groups: readonly PassedOver[]): (readonly [string, string])[] =>
  groups.map(({ because, apps, more }) => [
    label,
    `${apps.join(', ')}${more > 0 ? ` and ${more} more` : ''}: ${because}`,
  ]);

function others({ others: ways, totals }: UplinksReport, paint: Paint): readonly string[] {
  const open = ways.map(({ way, ...traffic }) => `${way}: ${trafficText(traffic)}`);
  const total = (totals?.others ?? []).map(({ way, ...of }) => `${way}, ${of.app}: ${totalText(of)}`);
  const rows = [...firstOf('now', open), ...firstOf('since start', total)];
  return rows.length === 0 ? [] : [paint('by no uplink', 'bold'), ...labelled(rows, paint)];
}
