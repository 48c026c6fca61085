import { describe, expect, it } from 'vitest';
import { parsePolicyFile } from './parse-file.ts';

const check = (via: string) =>
  parsePolicyFile('f', new TextEncoder().encode(`pointsman: 1\napp: a\nvia: ${via}\n`)).diagnostics.map(
    ({ severity, code, column, length }) => ({ severity, code, column, length }),
  );

describe('validateVia()', () => {
  it.each([
    ['{}'],
    ['{ else: wait }'],
    ['{ share: destination }'],
    ['{ local: via, require: { type: vpn } }'],
    ['{ local: block, share: app, sticky: 1m }'],
    ['{ sticky: 10m }'],
    ['{ sticky: 24h, share: app }'],
    ['{ require: { metered: true }, prohibit: { metered: false } }'],
    ['{ require: { type: [wifi, vpn] }, prohibit: { type: wifi } }'],
    ['{ require: { name: a }, avoid: { name: a } }'],
    ['{ prefer: { type: wifi }, avoid: { metered: true } }'],
    ['{ require: { rtt: <80ms, validated: true }, prohibit: { rtt: <=20ms } }'],
    ['{ require: { bandwidth: ">=10mbit" }, prohibit: { loss: "> 5%", bandwidth: <10mbit } }'],
  ])('validateVia() accepts %s', (via) => {
    expect(check(via)).toEqual([]);
  });

  it.each([
    ['{ require: { trusted: false }, prohibit: { trusted: false } }'],
    ['{ require: { name: a }, prohibit: { name: [b, a] } }'],
    ['{ require: { type: [wifi, vpn] }, prohibit: { type: [vpn, wifi] } }'],
    ['{ require: { rtt: <80ms }, prohibit: { rtt: <=0.08s } }'],
    ['{ require: { validated: true }, prohibit: { validated: true } }'],
    ['{ require: { loss: <0% } }'],
  ])('validateVia() refuses %s, because no uplink can meet it', (via) => {
    expect(check(via)).toMatchObject([{ severity: 'error', code: 'contradiction' }]);
  });

  it('validateVia() takes local: system for what holds without it', () => {
    const of = (via: string) =>
      parsePolicyFile('f', new TextEncoder().encode(`pointsman: 1\napp: a\nvia: ${via}\n`)).policy?.via;
    expect(of('{ local: system }')).toEqual(of('{}'));
    expect(of('{ local: via }')).toMatchObject({ local: 'via' });
    expect(of('{ local: block }')).toMatchObject({ local: 'block' });
  });

  it('validateVia() warns of what is preferred and avoided', () => {
    expect(check('{ prefer: { roaming: true }, avoid: { roaming: true } }')).toMatchObject([
      { severity: 'warning', code: 'contradiction' },
    ]);
  });

  it('validateVia() checks the values that are left beside a wrong one', () => {
    expect(check('{ require: { type: [wify], trusted: true }, prohibit: { trusted: true } }')).toMatchObject([
      { code: 'invalid-value' },
      { code: 'contradiction' },
    ]);
  });

  it.each([
    '{ require: { name: Home } }',
    '{ require: { name: [] } }',
    '{ require: { metered: yes } }',
    '{ else: drop }',
    '{ share: true }',
    '{ share: conection }',
    '{ sticky: 10 }',
    '{ sticky: 10min }',
    '{ sticky: 0.5s }',
    '{ sticky: 25h }',
    '{ sticky: true }',
    '{ require: { rtt: 80 } }',
    '{ require: { rtt: [<80ms] } }',
    '{ prefer: { bandwidth: 10mbit } }',
    '{ avoid: { loss: <5 } }',
    '{ require: metered }',
    'home',
  ])('validateVia() refuses %s once', (via) => {
    expect(check(via)).toHaveLength(1);
  });
});
