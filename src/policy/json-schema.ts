/** JSON Schema (draft 7, which editors know best) of the files, for completion and checks while typing. */
import { z } from 'zod';
import {
  maskSchema,
  packagesSchema,
  policySchema,
  profileSchema,
  systemDefaultSchema,
  uplinkSchema,
} from './schema.ts';

/** Of `/etc/pointsman/policies/*.yaml`. */
export function policyJsonSchema(): object {
  return jsonSchema(policySchema, 'Pointsman policy', 'What one application may connect to, and by which way out.');
}

/** Of `/etc/pointsman/uplinks/*.yaml`. */
export function uplinkJsonSchema(): object {
  return jsonSchema(uplinkSchema, 'Pointsman uplink', 'One way out of this machine.');
}

/** Of `/etc/pointsman/profiles/*.yaml`. */
export function profileJsonSchema(): object {
  return jsonSchema(profileSchema, 'Pointsman profile', 'When rules hold that speak of it.');
}

/** Of `/etc/pointsman/default.yaml`. */
export function systemDefaultJsonSchema(): object {
  return jsonSchema(systemDefaultSchema, 'Pointsman system default', 'What holds for programs without a policy.');
}

/** Of `/etc/pointsman/packages.yaml`. */
export function packagesJsonSchema(): object {
  return jsonSchema(
    packagesSchema,
    'Pointsman packages',
    'Whose policy files may speak of programs of other packages.',
  );
}

function jsonSchema(schema: z.ZodType, title: string, description: string): object {
  const { $schema, ...body } = z.toJSONSchema(z.union([schema, maskSchema]), { target: 'draft-7' });
  return { $schema, title, description, ...body };
}
