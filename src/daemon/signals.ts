import type { Background } from '../kernel/background.ts';

export interface SignalActions {
  readonly background: Background;
  readonly stop: (signal: string) => void;
  readonly reload: () => void;
  /** A further request to stop: the person does not want to wait. */
  readonly finish: () => void | Promise<void>;
  /** A supervisor has no terminal: its SIGHUP means the files, one of a terminal that it has gone. */
  readonly isSupervised: boolean;
}

/** SIGTERM, SIGINT and SIGQUIT stop; SIGHUP reloads under a supervisor and stops otherwise; until it is disposed of. */
export function listenForSignals({ background, stop, reload, finish, isSupervised }: SignalActions): Disposable {
  let asked = false;
  const onStop = background.handler((signal: NodeJS.Signals) => {
    if (asked) return finish();
    asked = true;
    return stop(signal);
  });
  // The shell and the terminal may both say that it has gone.
  const onHangup = background.handler((signal: NodeJS.Signals) => {
    if (isSupervised) reload();
    else if (!asked) onStop(signal);
  });
  process.on('SIGTERM', onStop).on('SIGINT', onStop).on('SIGQUIT', onStop).on('SIGHUP', onHangup);
  return {
    [Symbol.dispose]: () => {
      process.off('SIGTERM', onStop).off('SIGINT', onStop).off('SIGQUIT', onStop).off('SIGHUP', onHangup);
    },
  };
}
