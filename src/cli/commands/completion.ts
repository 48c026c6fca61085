import { Argument, Command } from 'commander';
import { renderBashCompletion, renderFishCompletion, renderZshCompletion } from '../completion.ts';
import { addExamples, type CliContext } from '../context.ts';

type Shell = 'bash' | 'zsh' | 'fish';

export function completionCommand(context: CliContext): Command {
  const command = new Command('completion')
    .description('print a script that completes commands and options in a shell')
    .addArgument(new Argument('<shell>', 'your shell').choices(['bash', 'zsh', 'fish']))
    .action((shell: Shell) => {
      context.terminal.data(render(shell, command.parent ?? command));
    });
  return addExamples(command, [
    ['source <(pointsman completion bash)', 'for this shell'],
    ['pointsman completion zsh > ~/.zfunc/_pointsman', 'zsh, with ~/.zfunc in fpath'],
    ['pointsman completion fish > ~/.config/fish/completions/pointsman.fish', 'fish'],
  ]);
}

function render(shell: Shell, program: Command): string {
  switch (shell) {
    case 'bash':
      return renderBashCompletion(program);
    case 'zsh':
      return renderZshCompletion(program);
    case 'fish':
      return renderFishCompletion(program);
  }
}
