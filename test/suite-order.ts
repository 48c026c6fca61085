/**
 * Files of the suite `netns` that run one at a time, after all others. Those others run two at once: what they make has names
 * with the number of their own process, in network namespaces of their own, and they wait for events, however long those take.
 */

/** What they find depends on how fast things go: nothing else is to take the cores. They must pass on a loaded machine all the same. */
export const TIMING_SENSITIVE: readonly string[] = [
  'test/attribution/leak.test.ts',
  'test/netns/cgroup-watch.test.ts',
  'test/netns/coexistence-repair.test.ts',
  'test/netns/coexistence-routing.test.ts',
  'test/netns/flaps.test.ts',
  'test/netns/probes.test.ts',
  'test/netns/profile-network.test.ts',
  'test/netns/script-gate.test.ts',
  'test/netns/sticky.test.ts',
  'test/netns/uplink-wait.test.ts',
];

/** They count what all of the machine has, or fill it. */
export const MACHINE_WIDE: readonly string[] = [
  // File systems that do not answer: a daemon that looks at the processes on them, whosever it is, is not gone before they are.
  'test/netns/silent-files.test.ts',
  // Thousands of processes, which every daemon looks at.
  'test/netns/families.test.ts',
  // Programs that are attached to the root of the cgroups.
  'test/netns/socket-marks.test.ts',
];

/** Of those that run two at once: begun last, they would leave a core idle for minutes. */
export const LONGEST: readonly string[] = ['test/attribution/attribution.test.ts', 'test/netns/uplink-health.test.ts'];

export const ALONE: readonly string[] = [...TIMING_SENSITIVE, ...MACHINE_WIDE];
