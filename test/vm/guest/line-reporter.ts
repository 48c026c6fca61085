/** Says how each test went as soon as it has ended, so that a guest that hangs has told how far it came. */
import { relative } from 'node:path';
import type { Reporter, TestCase, TestModule, TestSuite } from 'vitest/node';
import { type GuestReport, renderReport } from '../guest-report.ts';

type Problem = { readonly message: string; readonly stack?: string | undefined };

export const lineReporter: Reporter = {
  onTestCaseResult(test: TestCase): void {
    const at = { file: fileOf(test.module), name: test.fullName };
    const { state, errors } = test.result();
    say({ kind: 'test', ...at, state });
    for (const error of errors ?? []) say({ kind: 'failure', ...at, message: describe(error) });
  },
  onTestSuiteResult(suite: TestSuite): void {
    sayErrors(fileOf(suite.module), suite.errors());
  },
  onTestModuleEnd(module: TestModule): void {
    sayErrors(fileOf(module), module.errors());
  },
  onTestRunEnd(_modules, unhandledErrors): void {
    sayErrors('', unhandledErrors);
    say({ kind: 'end' });
  },
};

function fileOf(module: TestModule): string {
  return relative(process.cwd(), module.moduleId);
}

function sayErrors(file: string, errors: readonly Problem[]): void {
  for (const error of errors) say({ kind: 'error', file, message: describe(error) });
}

/** The stack begins with the message. */
function describe({ message, stack }: Problem): string {
  return stack?.includes(message) ? stack : `${message}\n${stack ?? ''}`;
}

function say(report: GuestReport): void {
  process.stdout.write(renderReport(report));
}
