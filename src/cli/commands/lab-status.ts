import { Command } from 'commander';
import type { LabStatus } from '../../lab/lab-status.ts';
import { labCalled, labWords } from '../../lab/lab-words.ts';
import { addExamples, type CliContext, terminalOf, writeJson } from '../context.ts';
import { EXIT } from '../exit-code.ts';
import { labDaemonMissing } from '../lab-daemon-missing.ts';
import { labPlaceOf } from '../lab-place.ts';
import { type JsonOption, jsonOption } from '../options.ts';
import { painter } from '../paint.ts';
import { renderLinks } from '../render-links.ts';
import { renderTable } from '../text-table.ts';

export function labStatusCommand(context: CliContext): Command {
  const command = new Command('status')
    .description('whether the lab is up, and what is in it')
    .addOption(jsonOption())
    .action(async ({ json }: JsonOption) => {
      const { labStatus } = await import('../../lab/lab-status.ts');
      const terminal = terminalOf(context, command);
      const status = await labStatus(labPlaceOf(command));
      if (json) writeJson(terminal, status);
      else terminal.out(renderLabStatus(status, { id: labPlaceOf(command).id, colour: terminal.outColour }));
      if (status.state === 'down') context.exit(EXIT.notRunning);
      else if (status.state === 'broken' || labDaemonMissing(status) !== undefined) context.exit(EXIT.failed);
    });
  return addExamples(command, [['sudo pointsman lab status', 'up, down, or broken, and how each uplink is']]);
}

/** Ends with a newline. */
export function renderLabStatus(
  status: LabStatus,
  { id, colour }: { readonly id: string; readonly colour: boolean },
): string {
  const { state, daemon, namespaces, rootDir, notes } = status;
  if (state === 'down') return `${labCalled(id)} is down; build it: sudo pointsman ${labWords(id, 'up')}\n`;
  const rows = [
    ['lab', { text: state, style: state === 'up' ? 'green' : 'alarm' }],
    ['daemon', daemon],
    ['servers', status.servers ? 'running' : 'ended'],
    ['vpn', status.tunnel ? 'running' : 'ended'],
    ['namespaces', namespaces.join(' ')],
    ['files', `${rootDir}/etc/pointsman`],
  ] as const;
  const missing = labDaemonMissing(status);
  const next =
    state === 'broken'
      ? [`It is not whole: sudo pointsman ${labWords(id, 'down')}, then sudo pointsman ${labWords(id, 'up')}`]
      : missing === undefined
        ? []
        : [`${missing.charAt(0).toUpperCase()}${missing.slice(1)}`];
  const noted = notes.map(({ about, text }) => `Note: ${about}: ${text}.`);
  const links = status.links.length === 0 ? [] : ['', ...renderLinks(status.links, colour)];
  return `${[...renderTable({ rows }, painter(colour)), ...links, ...noted, ...next].join('\n')}\n`;
}
