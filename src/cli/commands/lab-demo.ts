import { Command } from 'commander';
import type { Explanation } from '../../api/explanation.ts';
import type { Explain, ExplainAnswer } from '../../lab/demo.ts';
import type { LinkState } from '../../lab/lab-link.ts';
import { labFiles } from '../../lab/lab-state.ts';
import { CliError } from '../cli-error.ts';
import { type DaemonClient, openClient } from '../client.ts';
import { parseConnectTarget } from '../connect-target.ts';
import { addExamples, type CliContext, terminalOf, writeJson } from '../context.ts';
import { daemonFollows } from '../daemon-follows.ts';
import { EXIT } from '../exit-code.ts';
import { labPlaceOf } from '../lab-place.ts';
import { type JsonOption, jsonOption } from '../options.ts';

export function labDemoCommand(context: CliContext): Command {
  const command = new Command('demo')
    .description(
      'build the lab where it is not up, run real programs in it, take wifi away, and show what became of them',
    )
    .addOption(jsonOption())
    .action(async ({ json }: JsonOption) => {
      const terminal = terminalOf(context, command);
      const place = labPlaceOf(command);
      const onProgress = (line: string): void => terminal.err(`${line}\n`);
      const [{ labStatus }, { labUp }, { runDemo }, { renderDemo }] = await Promise.all([
        import('../../lab/lab-status.ts'),
        import('../../lab/lab-up.ts'),
        import('../../lab/demo.ts'),
        import('../../lab/demo-table.ts'),
      ]);
      const { state, daemon } = await labStatus(place);
      if (state !== 'up' || daemon === 'ended') {
        await labUp({ ...place, pointsmanCommand: context.selfCommand, onProgress });
      }
      const client = openClient(labFiles(place.stateDir).socket);
      const followed = async (links: readonly LinkState[]): Promise<void> => {
        if (!(await daemonFollows(client, links))) onProgress('note: the daemon has not taken notice yet');
      };
      const report = await runDemo({ ...place, explain: demoExplain(client), followed, onProgress });
      if (json) writeJson(terminal, report);
      else
        terminal.out(
          renderDemo(report, { colour: terminal.outColour, commandName: context.commandName, id: place.id }),
        );
      if (!report.ok) context.exit(EXIT.failed);
    });
  return addExamples(command, [
    ['sudo pointsman lab demo', 'tables: program, destination, verdict, uplink, and the line that decided'],
    ['sudo pointsman lab demo --json', 'the same for scripts'],
  ]);
}

function demoExplain(client: DaemonClient): Explain {
  return async (exe, destination) => {
    const target = parseConnectTarget(destination);
    if (!target.ok) throw new CliError(EXIT.failed, `the demo cannot ask about ${destination}: ${target.message}`);
    return demoAnswer(await client.post<Explanation>('/v1/explain', { exe, ...target.value }));
  };
}

function demoAnswer({ flows: [flow] }: Explanation): ExplainAnswer {
  // A daemon tells of every flow.
  if (flow === undefined || flow.verdict === 'untold') throw new CliError(EXIT.failed, 'the daemon explained no flow');
  const uplink = flow.verdict === 'accept' ? flow.uplinks.find(({ taken }) => taken)?.uplink : undefined;
  const matched = flow.rules.find(({ outcome }) => outcome === 'matched');
  return {
    verdict: flow.verdict,
    ...(flow.cause === undefined ? {} : { cause: flow.cause }),
    ...(uplink === undefined ? {} : { uplink }),
    fileLine: flow.file === undefined ? '-' : `${flow.file}:${flow.line ?? 1}`,
    rule: matched?.text ?? flow.reason,
  };
}
