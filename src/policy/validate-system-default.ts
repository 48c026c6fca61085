/** The system default from a file's fields. */
import type { SourceLocation, SystemDefault } from './model.ts';
import type { SystemDefaultFields } from './schema.ts';
import { validateAccept } from './validate-accept.ts';
import { statedVerb } from './validate-policy.ts';
import { type Checking, validateVia } from './validate-via.ts';

const BUILT_IN: SourceLocation = { file: '(built in)', line: 1, column: 1 };

/** What holds where no file says otherwise: seen, not stopped, but nothing new while the daemon cannot judge it. */
export const builtinSystemDefault: SystemDefault = {
  otherwise: { do: 'allow', at: BUILT_IN },
  unknown: { do: 'allow', at: BUILT_IN },
  whenAway: 'closed',
};

export function validateSystemDefault(fields: SystemDefaultFields, checking: Checking): SystemDefault | undefined {
  const via = fields.via === undefined ? undefined : validateVia(fields.via, ['via'], checking);
  const accept = fields.accept === undefined ? undefined : validateAccept(fields.accept, ['accept'], checking);
  if (checking.report.hasErrors()) return undefined;
  const otherwise =
    fields.otherwise === undefined
      ? builtinSystemDefault.otherwise
      : statedVerb(fields.otherwise, ['otherwise'], checking);
  return {
    otherwise,
    ...(via === undefined ? {} : { via }),
    unknown: fields.unknown === undefined ? otherwise : statedVerb(fields.unknown, ['unknown'], checking),
    ...(accept === undefined ? {} : { accept }),
    whenAway: fields.whenAway ?? builtinSystemDefault.whenAway,
    ...(fields.uplinks === undefined ? {} : { uplinks: fields.uplinks }),
    ...(fields['trust-found'] === true && { trustFound: true }),
    ...(fields.trust?.groups === undefined ? {} : { trustedGroups: fields.trust.groups.map(String) }),
  };
}
