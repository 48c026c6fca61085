/**
 * Variables by which whoever starts a program chooses what it loads, where it writes and what it opens. sudo and supervisors can
 * be told to pass them on; a program of root's takes none.
 */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Of Node, the dynamic linker, libuv. */
const PREFIXES = ['NODE_', 'LD_', 'UV_'];
/** Of the C library, of OpenSSL in Node, of the resolver. */
const NAMES: ReadonlySet<string> = new Set([
  'GCONV_PATH',
  'GLIBC_TUNABLES',
  'HOSTALIASES',
  'LOCALDOMAIN',
  'LOCPATH',
  'MALLOC_CHECK_',
  'MALLOC_PERTURB_',
  'MALLOC_TRACE',
  'NLSPATH',
  'OPENSSL_CONF',
  'OPENSSL_ENGINES',
  'OPENSSL_MODULES',
  'RES_OPTIONS',
  'SSLKEYLOGFILE',
  'SSL_CERT_DIR',
  'SSL_CERT_FILE',
]);

/** They have done it by the time that anything of ours runs: too late to take them away. */
const EFFECTIVE_AT_ONCE: ReadonlySet<string> = new Set([
  'LD_AUDIT',
  'LD_LIBRARY_PATH',
  'LD_PRELOAD',
  'NODE_COMPILE_CACHE',
  'NODE_ICU_DATA',
  'NODE_OPTIONS',
  'NODE_REDIRECT_WARNINGS',
  'NODE_V8_COVERAGE',
  'OPENSSL_CONF',
]);

const isTaken = (name: string): boolean => !NAMES.has(name) && !PREFIXES.some((prefix) => name.startsWith(prefix));

/** What a program of ours may have of it. */
export function startEnvironment(environment: Environment): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => isTaken(name)));
}

/** Those with which a daemon is not to run: what they name is in the process already. */
export function refusedVariables(environment: Environment): readonly string[] {
  return Object.keys(environment)
    .filter((name) => EFFECTIVE_AT_ONCE.has(name) && environment[name] !== '')
    .sort();
}
