/**
 * Generic netlink: families that have a name, and a number that the kernel gives them when they are loaded (linux/genetlink.h).
 *
 *    0        1         2          4
 *    +--------+---------+----------+------ - -
 *    | cmd    | version | reserved | attributes
 *    +--------+---------+----------+------ - -
 */
import { type Attributes, decodeAttributes, decodeString, encodeString, requireAttribute } from './attribute.ts';
import { concatBytes, readU8, readU16 } from './bytes.ts';
import { DecodeError } from './errors.ts';
import type { NetlinkMessage, NetlinkRequest } from './message.ts';
import { requireMessageType } from './nfnetlink.ts';
import { NLM_F_REQUEST } from './uapi.ts';

const GENL_HDRLEN = 4;
const GENL_VERSION = 1;
/** The family that knows the others. */
const GENL_ID_CTRL = 0x10;
const CTRL_CMD_NEWFAMILY = 1;
const CTRL_CMD_GETFAMILY = 3;
const CTRL_ATTR_FAMILY_ID = 1;
const CTRL_ATTR_FAMILY_NAME = 2;

export interface GenericHeader {
  /** Number of the family. */
  readonly family: number;
  readonly command: number;
  readonly flags: number;
}

/** `attributes` are encoded ones. */
export function encodeGeneric(header: GenericHeader, attributes: readonly Uint8Array[] = []): NetlinkRequest {
  const { family, command, flags } = header;
  const head = new Uint8Array([command, GENL_VERSION, 0, 0]);
  return { type: family, flags, body: concatBytes([head, ...attributes]) };
}

/** The attributes of a message of one family and command. Throws DecodeError for another. */
export function decodeGeneric(
  message: NetlinkMessage,
  { family, command }: Pick<GenericHeader, 'family' | 'command'>,
): Attributes {
  requireMessageType(message, [family]);
  const attributes = decodeAttributes(message.body, GENL_HDRLEN);
  const found = readU8(message.body);
  if (found !== command) throw new DecodeError(`command ${found}, not ${command}`);
  return attributes;
}

/** ENOENT where the kernel has no such family: before that it looks for a module with it, and loads it. */
export function encodeFamilyGet(name: string): NetlinkRequest {
  const header = { family: GENL_ID_CTRL, command: CTRL_CMD_GETFAMILY, flags: NLM_F_REQUEST };
  return encodeGeneric(header, [encodeString(CTRL_ATTR_FAMILY_NAME, name)]);
}

/** Throws DecodeError. */
export function decodeFamilyAnswer(message: NetlinkMessage): { readonly name: string; readonly id: number } {
  const attributes = decodeGeneric(message, { family: GENL_ID_CTRL, command: CTRL_CMD_NEWFAMILY });
  return {
    name: decodeString(requireAttribute(attributes, CTRL_ATTR_FAMILY_NAME, 'CTRL_ATTR_FAMILY_NAME')),
    id: readU16(requireAttribute(attributes, CTRL_ATTR_FAMILY_ID, 'CTRL_ATTR_FAMILY_ID')),
  };
}
