import { describe, expect, it } from 'vitest';
import { isOursAndEmpty } from './xtables.ts';

const CHAIN = '\tchain OUTPUT {\n\t\ttype route hook output priority mangle; policy accept;\n\t}\n';
const COMMENT = '\tcomment "made for pointsman"\n';
const table = (...content: string[]): string => `table ip mangle {\n${content.join('')}}\n`;

describe('isOursAndEmpty', () => {
  it('isOursAndEmpty() is true for a table that we made, with nothing but accepting base chains', () => {
    expect(isOursAndEmpty(table(COMMENT))).toBe(true);
    expect(isOursAndEmpty(table(COMMENT, CHAIN))).toBe(true);
    expect(
      isOursAndEmpty(`# Warning: table ip mangle is managed by iptables-nft, do not touch!\n${table(COMMENT, CHAIN)}`),
    ).toBe(true);
  });

  it.each([
    ['it is somebody else’s', table(CHAIN)],
    ['a rule is left', table(COMMENT, CHAIN.replace('\t}', '\t\tcounter packets 0 bytes 0\n\t}'))],
    ['a chain drops', table(COMMENT, CHAIN.replace('policy accept', 'policy drop'))],
    ['a chain of somebody’s own is there', table(COMMENT, '\tchain docker-user {\n\t}\n')],
    ['a set is there', table(COMMENT, '\tset s {\n\t\ttype ipv4_addr\n\t}\n')],
  ])('isOursAndEmpty() is false where %s', (_, listing) => {
    expect(isOursAndEmpty(listing)).toBe(false);
  });
});
