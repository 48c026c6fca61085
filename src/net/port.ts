/** An inclusive range of TCP or UDP ports, 0..65535. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}
