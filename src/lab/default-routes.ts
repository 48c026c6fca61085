import type { LabUplink } from './world.ts';

/** As NetworkManager leaves them: one per uplink and family in the main table, the metric ranks them. Words of ip-route(8). */
export function defaultRoutes({ access, device, metric }: LabUplink): readonly string[] {
  if (metric === undefined) return [];
  return [
    `default via ${access.v4.far} dev ${device} proto dhcp src ${access.v4.near} metric ${metric}`,
    `default via ${access.v6.far} dev ${device} proto ra metric ${metric}`,
  ];
}
