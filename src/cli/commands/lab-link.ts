import { Argument, Command } from 'commander';
import { labFiles } from '../../lab/lab-state.ts';
import { LAB_UPLINKS, type LabUplinkName } from '../../lab/world.ts';
import { CliError } from '../cli-error.ts';
import { openClient } from '../client.ts';
import { addExamples, type CliContext, terminalOf, writeJson } from '../context.ts';
import { daemonFollows } from '../daemon-follows.ts';
import { EXIT } from '../exit-code.ts';
import { labDaemonMissing } from '../lab-daemon-missing.ts';
import { labPlaceOf } from '../lab-place.ts';
import { LINK_WORDS, type LinkWord, parseLinkChange } from '../link-change.ts';
import { type JsonOption, jsonOption } from '../options.ts';
import { renderLinks } from '../render-links.ts';

export function labLinkCommand(context: CliContext): Command {
  const command = new Command('link')
    .description('make an uplink fail, lossy, slow or narrow, and well again; returns when the daemon knows')
    .addArgument(new Argument('<uplink>', 'which way out').choices(LAB_UPLINKS.map(({ name }) => name)))
    .addArgument(new Argument('<change>', 'what becomes of it').choices(LINK_WORDS))
    .argument('[value]', 'loss: PERCENT of the packets each way; delay: MS a round trip; rate: as 2mbit, each way')
    .addOption(jsonOption())
    .action(async (uplink: LabUplinkName, word: LinkWord, value: string | undefined, { json }: JsonOption) => {
      const parsed = parseLinkChange(word, value);
      if (!parsed.ok) {
        throw new CliError(EXIT.usage, parsed.message, { hint: 'examples: pointsman lab link --help' });
      }
      const [{ labLink }, { labStatus }] = await Promise.all([
        import('../../lab/lab-link.ts'),
        import('../../lab/lab-status.ts'),
      ]);
      const terminal = terminalOf(context, command);
      const place = labPlaceOf(command);
      const { dependents, ...link } = await labLink({ ...place, uplink, change: parsed.change });
      const links = [link, ...dependents];
      const { daemon, daemonPid } = await labStatus(place);
      const follows =
        daemon === 'running' ? await daemonFollows(openClient(labFiles(place.stateDir).socket), links) : undefined;
      if (json)
        writeJson(terminal, { ...link, dependents, ...(follows === undefined ? {} : { daemonFollows: follows }) });
      else terminal.out(`${renderLinks(links, terminal.outColour).join('\n')}\n`);
      const missing = labDaemonMissing({ daemon, daemonPid, id: place.id });
      if (missing !== undefined) terminal.err(`note: ${missing}\n`);
      else if (follows === false) terminal.err('note: the daemon has not taken notice yet; see pointsman status\n');
    });
  return addExamples(command, [
    ['sudo pointsman lab link wifi down', 'the carrier is lost, as with a router without power'],
    ['sudo pointsman lab link wifi loss 30%', 'the carrier stays, three packets in ten do not arrive'],
    ['sudo pointsman lab link vpn delay 200', 'milliseconds a round trip; needs netem in the kernel'],
    ['sudo pointsman lab link cellular rate 500kbit', 'each way'],
    ['sudo pointsman lab link wifi up', 'the carrier is back; loss, delay and rate stay'],
    ['sudo pointsman lab link wifi clear', 'as the lab was built'],
  ]);
}
