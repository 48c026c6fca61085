/**
 * What container runtimes write about their containers: from the text of a file to ids and names. Damaged or foreign text
 * says nothing, and never throws.
 */

/** A container's id: 64 hexadecimal digits. */
const CONTAINER_ID = /^[0-9a-f]{64}$/;
/** Runtimes permit no longer names than a file may have. */
const MAX_NAME_LENGTH = 255;
/** A container has one or two. */
const MAX_NAMES_PER_CONTAINER = 16;

/**
 * Annotations of an OCI runtime bundle (`config.json`) that hold a name which its runtime has given it. Labels are no names:
 * whoever built the image chose some of them.
 */
const NAME_ANNOTATIONS: readonly string[] = ['io.kubernetes.cri.container-name', 'nerdctl/name'];

export interface ContainerRecord {
  readonly id: string;
  readonly names: readonly string[];
}

/** `undefined`: damaged, or still being written. */
export type Records = readonly ContainerRecord[] | undefined;

export const isContainerId = (text: string): boolean => CONTAINER_ID.test(text);

/** Docker's `config.v2.json`: the name of one container, with a leading slash. */
export function dockerRecord(text: string, id: string): Records {
  const config = parseJson(text);
  if (!isObject(config)) return undefined;
  const name = config.Name;
  return recordOf(id, [typeof name === 'string' ? name.replace(/^\//, '') : name]);
}

/** `config.json` of the OCI runtime specification: one container of containerd. */
export function bundleRecord(text: string, id: string): Records {
  const config = parseJson(text);
  if (!isObject(config)) return undefined;
  const annotations = config.annotations;
  return recordOf(id, isObject(annotations) ? NAME_ANNOTATIONS.map((key) => annotations[key]) : []);
}

/**
 * `containers.json` and `volatile-containers.json` of containers/storage: all containers of Podman or CRI-O. CRI-O writes the
 * name in the pod's description into `metadata`, itself JSON; `names` are its own longer ones.
 */
export function storageRecords(text: string): Records {
  const containers = parseJson(text);
  if (!Array.isArray(containers)) return undefined;
  return containers.flatMap((container: unknown) => {
    if (!isObject(container)) return [];
    const { id, names, metadata } = container;
    const described = typeof metadata === 'string' ? parseJson(metadata) : undefined;
    const own = Array.isArray(names) ? names.slice(0, MAX_NAMES_PER_CONTAINER) : [];
    return recordOf(id, [...own, isObject(described) ? described['metadata-name'] : undefined]);
  });
}

function recordOf(id: unknown, candidates: readonly unknown[]): ContainerRecord[] {
  if (typeof id !== 'string' || !isContainerId(id)) return [];
  const names = candidates.filter((name) => typeof name === 'string').filter(isName);
  return names.length === 0 ? [] : [{ id, names }];
}

const isName = (text: string): boolean => text !== '' && text.length <= MAX_NAME_LENGTH;

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
