/**
 * What a cgroup's name says about who is in it, in the spelling of systemd, desktops and container runtimes. A name counts
 * only where none but root, or a user's own service manager, puts such groups: elsewhere anybody may choose it.
 */

export interface CgroupScopes {
  /** The unit of the system manager that this cgroup is. */
  readonly unit?: string;
  /** 64 hexadecimal digits. */
  readonly containerId?: string;
  /** The name of a container or virtual machine of systemd-machined(8). */
  readonly machine?: string;
  readonly flatpak?: string;
  /** `SNAP.APP`. */
  readonly snap?: string;
  readonly desktop?: string;
}

const NOTHING: CgroupScopes = {};

/** Longer paths than the kernel's PATH_MAX name no cgroup. */
const MAX_PATH_LENGTH = 4096;

const CONTAINER_SCOPE = /^(?:docker|libpod|nerdctl|cri-containerd|crio)-([0-9a-f]{64})\.scope$/;
/** The whole path, where the runtime makes its groups itself (Docker's and Kubernetes' "cgroupfs driver"). */
const CONTAINER_PATHS: readonly RegExp[] = [
  /^\/docker\/([0-9a-f]{64})$/,
  /^\/libpod_parent\/libpod-([0-9a-f]{64})$/,
  /^\/kubepods(?:\/burstable|\/besteffort)?\/pod[^/]+\/([0-9a-f]{64})$/,
];
/** crun puts a container's processes one group deeper. */
const BELOW_LIBPOD = /^(.*\/libpod-[0-9a-f]{64}(?:\.scope)?)\/container$/;

const MACHINE_SCOPE = /^machine-([^-]+)\.scope$/;
const MACHINE_NAME = /^[A-Za-z0-9_.-]{1,64}$/;

/** snapd ends the name of a program's scope in a UUID, formerly after a dot. */
const SNAP_SCOPE =
  /^snap\.([a-z0-9_-]+\.[A-Za-z0-9.-]+?)(?:[-.][0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})?\.scope$/;
const SNAP_SERVICE = /^snap\.([a-z0-9_-]+\.[A-Za-z0-9.-]+)\.service$/;

/** https://systemd.io/DESKTOP_ENVIRONMENTS: a plain `-` separates the parts of a name, one inside a part is escaped. */
const APP_SCOPE = /^app-(?:([^-@]+)-)?([^-@]+)-[^-@]+\.scope$/;
const APP_SERVICE = /^app-(?:([^-@]+)-)?([^-@]+)(?:@[^@]*)?\.service$/;
const APPLICATION_ID = /^[A-Za-z0-9_.-]{1,255}$/;

/** `\x2d` -> `-`, as systemd-escape(1) writes; what is not ASCII stays escaped. */
function unescapeUnit(text: string): string {
  return text.replace(/\\x([0-7][0-9a-f])/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/** No pattern here has a backslash: what could not be unescaped is no name. */
function named(escaped: string | undefined, pattern: RegExp): string | undefined {
  if (escaped === undefined) return undefined;
  const name = unescapeUnit(escaped);
  return pattern.test(name) ? name : undefined;
}

const areSlices = (parts: readonly string[]): boolean => parts.every((part) => part.endsWith('.slice'));

/** Below `/user.slice/user-N.slice/user@N.service` stands what user N's own manager made, or what user N says it did. */
function isInUserManager([top, slice, manager, ...rest]: readonly string[]): boolean {
  const uid = /^user@(\d+)\.service$/.exec(manager ?? '')?.[1];
  return uid !== undefined && top === 'user.slice' && slice === `user-${uid}.slice` && areSlices(rest);
}

function containerOf(path: string, last: string, parents: readonly string[]): string | undefined {
  const scope = areSlices(parents) ? CONTAINER_SCOPE.exec(last)?.[1] : undefined;
  if (scope !== undefined) return scope;
  for (const pattern of CONTAINER_PATHS) {
    const id = pattern.exec(path)?.[1];
    if (id !== undefined) return id;
  }
  const libpod = last === 'container' ? BELOW_LIBPOD.exec(path)?.[1] : undefined;
  return libpod === undefined ? undefined : containerOf(libpod, parents.at(-1) ?? '', parents.slice(0, -1));
}

/** What the cgroup of this path is by itself, whatever is above it. Never throws: the path may be anything. */
export function scopesOfCgroup(path: string): CgroupScopes {
  if (path.length > MAX_PATH_LENGTH) return NOTHING;
  const parents = path.split('/').filter((part) => part !== '');
  const last = parents.pop();
  if (last === undefined) return NOTHING;
  const bySystem = areSlices(parents);
  const containerId = containerOf(path, last, parents);
  if (!bySystem && !isInUserManager(parents)) return containerId === undefined ? NOTHING : { containerId };
  const machine = bySystem ? named(MACHINE_SCOPE.exec(last)?.[1], MACHINE_NAME) : undefined;
  const [, launcher, application] = APP_SCOPE.exec(last) ?? APP_SERVICE.exec(last) ?? [];
  const desktop = named(application, APPLICATION_ID);
  const flatpak = launcher === 'flatpak' && last.endsWith('.scope') ? desktop : undefined;
  const snap = (SNAP_SCOPE.exec(last) ?? SNAP_SERVICE.exec(last))?.[1];
  return {
    ...(bySystem && { unit: last }),
    ...(containerId !== undefined && { containerId }),
    ...(machine !== undefined && { machine }),
    ...(flatpak !== undefined && { flatpak }),
    ...(snap !== undefined && { snap }),
    ...(desktop !== undefined && { desktop }),
  };
}

/**
 * The unit of the system manager that this cgroup is; `undefined` where it is none. The manager puts units into slices
 * only: below a service or scope (`user@1000.service`, a container) names are whatever its user chose.
 */
export function unitOfCgroup(path: string): string | undefined {
  return scopesOfCgroup(path).unit;
}
