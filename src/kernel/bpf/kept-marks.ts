/** Maps and links of SocketMarks as pins, and back. */
import { join } from 'node:path';
import { MAPS, type MapDescription, type MapName } from '../../bpf/maps.ts';
import { KernelError } from '../kernel-error.ts';
import { BpfMap } from './bpf-map.ts';
import { mapInfo, openPinned, pinObject } from './bpf-pin.ts';
import { BpfDescriptor } from './bpf-program.ts';
import { closeLinks, LINK_NAMES, type LinkName, type Links } from './marking-programs.ts';
import { claimPins, makePinDirectory, ownerOfPins, removePins } from './pin-directory.ts';
import type { SocketMarkMaps } from './socket-mark-maps.ts';

export interface KeptMarks {
  readonly maps: SocketMarkMaps;
  readonly links: Links;
}

const mapPath = (directory: string, name: MapName): string => join(directory, `map_${name}`);
export const linkPath = (directory: string, name: LinkName): string => join(directory, `link_${name}`);

/** The links last: what they mark sockets with is there before. Throws KernelError; nothing is kept then. */
export function keepMarks(directory: string, { maps, links }: KeptMarks): void {
  makePinDirectory(directory);
  try {
    for (const [name, map] of Object.entries(maps) as [MapName, BpfMap][]) pinObject(map.fd, mapPath(directory, name));
    for (const [name, link] of links) pinObject(link.fd, linkPath(directory, name));
    claimPins(directory);
  } catch (error) {
    removePins(directory);
    throw error;
  }
}

/** `undefined` where not all of it is there, or a map is not as this version makes it. Throws KernelError. */
export function openKeptMarks(directory: string): KeptMarks | undefined {
  if (ownerOfPins(directory) === undefined) return undefined;
  const maps = new Map<MapName, BpfMap>();
  const links = new Map<LinkName, BpfDescriptor>();
  const close = (): void => {
    for (const map of maps.values()) map[Symbol.dispose]();
    closeLinks(links);
  };
  try {
    for (const [name, description] of Object.entries(MAPS) as [MapName, MapDescription][]) {
      const fd = openPinned(mapPath(directory, name));
      if (fd === undefined) throw incompatible(directory, name);
      maps.set(name, BpfMap.adopt(fd, description));
      if (!isAsDescribed(fd, description)) throw incompatible(directory, name);
    }
    for (const name of LINK_NAMES) {
      const fd = openPinned(linkPath(directory, name));
      if (fd === undefined) throw incompatible(directory, name);
      links.set(name, new BpfDescriptor(fd));
    }
    return { maps: Object.fromEntries(maps) as SocketMarkMaps, links };
  } catch (error) {
    close();
    if (error instanceof KernelError && error.operation === ADOPT) return undefined;
    throw error;
  }
}

const ADOPT = 'adopt pins';
const incompatible = (directory: string, name: string): KernelError =>
  new KernelError(ADOPT, 0, '', directory, `${name} is not there, or not as this version makes it`);

function isAsDescribed(fd: number, { type, keyBytes, valueBytes, maxEntries, flags }: MapDescription): boolean {
  const info = mapInfo(fd);
  return (
    info.type === type &&
    info.keyBytes === keyBytes &&
    info.valueBytes === valueBytes &&
    info.maxEntries === maxEntries &&
    info.flags === (flags ?? 0)
  );
}
