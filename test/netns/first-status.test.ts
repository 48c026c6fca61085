/** What the daemon knows to be wrong, it says from its first answer on: not when it next happens to look. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildProgram } from './support/build-program.ts';
import { Device, UPLINKS } from './support/device.ts';

/** The mark that wg-quick gives to its packets. */
const FOREIGN_RULE = ['pref', '30000', 'fwmark', '0xca6c', 'lookup', 'main'];

let device: Device;

beforeAll(async () => {
  await buildProgram();
  device = await Device.build('first');
  device.writePolicy('org.example.Browser', 'exec: /usr/bin/curl', 'otherwise: deny');
});

afterAll(async () => {
  await device?.[Symbol.asyncDispose]();
});

const writeUplink = (name: string): void =>
  device.write(`${UPLINKS}/${name}.yaml`, `pointsman: 1\nuplink: ${name}\ndevice: ${name}9\nprobe: off\n`);
const warnings = async (): Promise<string> =>
  (await device.status()).warnings.map(({ code, message }) => `${code}: ${message}`).join('\n');

describe('the first status', () => {
  it('the first status has all that is wrong, which is said before the daemon says that it answers', async () => {
    await device.pointsman('panic', 'closed');
    await device.must('device', ['ip', 'rule', 'add', ...FOREIGN_RULE]);
    writeUplink('absent');
    const daemon = await device.startDaemon();
    const said = await warnings();
    for (const code of ['panic-closed', 'foreign-mark', 'uplink-missing']) {
      expect(said).toContain(`${code}: `);
      const place = daemon.output.indexOf(`[${code}]`);
      expect(place, code).toBeGreaterThanOrEqual(0);
      expect(place, code).toBeLessThan(daemon.output.indexOf('control socket'));
    }
    await daemon.stop();
    await device.must('device', ['ip', 'rule', 'del', ...FOREIGN_RULE]);
    await device.pointsman('panic', 'off');
  });

  it('the first status after a reload has what is wrong with what was put into force', async () => {
    device.remove(UPLINKS);
    const daemon = await device.startDaemon();
    writeUplink('gone');
    expect(await device.pointsman('reload')).toMatchObject({ exitCode: 0 });
    expect(await warnings()).toMatch(/^uplink-missing: .*\bgone9\b/m);
    device.remove(UPLINKS);
    // What runs there is bash.
    device.writePolicy('org.example.Script', 'exec: /usr/bin/ldd', 'otherwise: deny');
    expect(await device.pointsman('reload')).toMatchObject({ exitCode: 0 });
    expect(await warnings()).not.toContain('uplink-missing');
    expect(await warnings()).toMatch(/^entries-misfit: \S+org.example.Script.yaml:4:5: \/usr\/bin\/ldd is a script: /m);
    device.writePolicy('org.example.Script', 'script: /usr/bin/ldd', 'otherwise: deny');
    expect(await device.pointsman('reload')).toMatchObject({ exitCode: 0 });
    expect(await warnings()).not.toContain('entries-misfit');
    await daemon.stop();
  });
});
