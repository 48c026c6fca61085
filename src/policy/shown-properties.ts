/** Properties of an uplink in the words of its file, each with who says it. */
import { describeSource } from './join-uplinks.ts';
import type { Uplink, UplinkProperties } from './model.ts';
import { formatQuantity } from './quantity.ts';

export interface ShownProperty {
  readonly name: string;
  readonly value: string;
  readonly source: string;
}

/** Properties that nobody states, and that have no default, are left out. */
export function shownProperties({ properties, sources }: Uplink): readonly ShownProperty[] {
  return (Object.keys(properties) as (keyof UplinkProperties)[]).map((property) => {
    const source = sources?.[property];
    return { ...inWords(properties, property), source: source === undefined ? 'file' : describeSource(source) };
  });
}

function inWords(properties: UplinkProperties, property: keyof UplinkProperties): Omit<ShownProperty, 'source'> {
  switch (property) {
    case 'bandwidthBitsPerSecond':
      return { name: 'bandwidth', value: formatQuantity('bandwidth', properties[property] ?? 0) };
    case 'rttMs':
      return { name: 'rtt', value: formatQuantity('rtt', properties[property] ?? 0) };
    case 'lossRatio':
      return { name: 'loss', value: formatQuantity('loss', properties[property] ?? 0) };
    case 'type':
      return { name: property, value: properties.type };
    case 'metered':
    case 'roaming':
    case 'trusted':
    case 'encrypted':
      return { name: property, value: properties[property] ? 'yes' : 'no' };
  }
}
