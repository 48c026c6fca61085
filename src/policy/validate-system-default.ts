/** The system default from a file's fields. */
import { BUILT_IN, type SystemDefault } from './model.ts';
import type { SystemDefaultFields } from './schema.ts';
import { validateAccept } from './validate-accept.ts';
import { statedVerb, wordOf } from './validate-policy.ts';
import { type Checking, validateVia } from './validate-via.ts';

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
  const userMode = fields['user-mode-networking'];
  return {
    otherwise,
    ...(via === undefined ? {} : { via }),
    unknown: fields.unknown === undefined ? otherwise : statedVerb(fields.unknown, ['unknown'], checking),
    ...(accept === undefined ? {} : { accept }),
    whenAway: fields.whenAway ?? builtinSystemDefault.whenAway,
    ...(fields.uplinks === undefined ? {} : { uplinks: fields.uplinks }),
    ...(fields['trust-found'] === true && { trustFound: true }),
    ...(userMode !== undefined && { userModeNetworking: wordOf(userMode, ['user-mode-networking'], checking) }),
    ...(fields.trust?.groups === undefined ? {} : { trustedGroups: fields.trust.groups.map(String) }),
  };
}
