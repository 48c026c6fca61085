/** Somebody else's firewall in the device. */
export interface ForeignTool extends AsyncDisposable {
  start(): Promise<void>;
  /** In the way that throws most away and makes it anew. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}
