/** Keys that people write where there are none such, and what says what they mean: the words of other tools, or ours in another place. */
import type { Context } from './schema.ts';

const VERBS: readonly string[] = ['allow', 'deny', 'drop'];
const SYNONYM_VERBS: ReadonlyMap<string, string> = new Map([
  ['block', 'deny'],
  ['reject', 'deny'],
  ['permit', 'allow'],
]);
const CONSTRAINTS: readonly string[] = ['require', 'prefer', 'avoid', 'prohibit', 'else', 'local', 'share', 'sticky'];
const PORTS: readonly string[] = ['port', 'ports', 'dport', 'dports'];
const PROTOCOLS: readonly string[] = ['proto', 'protocol', 'protocols'];
/** `unmetered`, `not-trusted`: what is said of a flag by its value. */
const NEGATED = /^(?:un|non|not|no|dis)[-_]?(metered|roaming|trusted|encrypted|validated)$/;

/** `undefined` where nothing is known of it but its spelling. */
export function keyHint(key: string, context: Context): string | undefined {
  const word = key.toLowerCase();
  const verb = SYNONYM_VERBS.get(word) ?? word;
  switch (context) {
    case 'policy':
      if (VERBS.includes(verb))
        return `for some destinations: rules: [{ to: HOST, do: ${verb} }]; for all others: otherwise: ${verb}`;
      break;
    case 'rules':
      if (VERBS.includes(verb)) return `where to and what stand apart: { to: HOST, do: ${verb} }`;
      if (PORTS.includes(word)) return 'ports stand behind the host, or behind "*": to: "HOST:443"';
      if (PROTOCOLS.includes(word)) return 'the protocol stands behind the host, or behind "*": to: "HOST:443/tcp"';
      break;
    case 'via':
      if (['fallback', 'otherwise', 'default'].includes(word))
        return 'what to do without an uplink: else: block, wait or any';
      break;
    case 'uplink':
      if (word === 'dns' || word === 'nameserver' || word === 'nameservers' || word === 'resolver')
        return 'DNS servers of that network: resolvers: ["192.0.2.53"]';
      break;
    default:
  }
  const [, flag] = NEGATED.exec(word) ?? [];
  if (flag !== undefined) return `what is not so: ${flag}: false`;
  if ((context === 'policy' || context === 'rules') && CONSTRAINTS.includes(word))
    return `it stands in a via: via: { ${word}: ... }`;
  return undefined;
}
