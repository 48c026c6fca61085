import { Command } from 'commander';
import { addExamples, type CliContext, terminalOf } from '../context.ts';
import { labDaemonMissing } from '../lab-daemon-missing.ts';
import { labPlaceOf } from '../lab-place.ts';

export function labExecCommand(context: CliContext): Command {
  const command = new Command('exec')
    .description('run any program on the lab’s device, and pass on its exit code')
    .argument('<command...>', 'program and arguments, after --')
    .option('--cgroup <name>', 'run it in a cgroup of its own, for policies that match one')
    .action(async (words: readonly string[], { cgroup }: { readonly cgroup?: string }) => {
      const { labExec } = await import('../../lab/lab-exec.ts');
      const { labDaemon } = await import('../../lab/lab-daemon.ts');
      const place = labPlaceOf(command);
      const { state: daemon, pid: daemonPid } = await labDaemon(place.stateDir);
      const missing = labDaemonMissing({ daemon, daemonPid, id: place.id });
      if (missing !== undefined) terminalOf(context, command).err(`note: ${missing}\n`);
      const program = { ...place, command: words, ...(cgroup === undefined ? {} : { cgroup }) };
      context.exit(await labExec(program));
    });
  return addExamples(command, [
    ['sudo pointsman lab exec -- curl http://www.example.org/', 'prints the address that the server saw'],
    ['sudo pointsman lab exec -- bash', 'a shell on the device'],
  ]);
}
