export interface SignalActions {
  readonly stop: (signal: string) => void;
  readonly reload: () => void;
  /** A second request to stop: the person does not want to wait. */
  readonly abort: () => void;
}

/** SIGTERM, SIGINT and SIGQUIT stop, SIGHUP reloads, until it is disposed of. */
export function listenForSignals({ stop, reload, abort }: SignalActions): Disposable {
  let asked = false;
  const onStop = (signal: NodeJS.Signals): void => {
    if (asked) abort();
    else stop(signal);
    asked = true;
  };
  process.on('SIGTERM', onStop).on('SIGINT', onStop).on('SIGQUIT', onStop).on('SIGHUP', reload);
  return {
    [Symbol.dispose]: () => {
      process.off('SIGTERM', onStop).off('SIGINT', onStop).off('SIGQUIT', onStop).off('SIGHUP', reload);
    },
  };
}
