/** The fields of the mark of a decided flow; `reserved.ts` has their places and what their values mean. */
import { MARK_APP, MARK_UPLINK, MARK_UPLINK_SHIFT, UPLINK_FIRST, UPLINK_LAST } from './reserved.ts';

export interface FlowMark {
  readonly appId: number;
  /** Value of the uplink bits. */
  readonly way: number;
}

export function readMark(mark: number): FlowMark {
  return { appId: mark & MARK_APP, way: (mark & MARK_UPLINK) >>> MARK_UPLINK_SHIFT };
}

/** Whether a way is that of an uplink, by this number. */
export const isUplink = (way: number): boolean => way >= UPLINK_FIRST && way <= UPLINK_LAST;
