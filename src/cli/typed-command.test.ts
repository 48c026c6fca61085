import { describe, expect, it } from 'vitest';
import { type Place, typedCommands } from './typed-command.ts';

const commands = ['up', 'down', 'status', 'confirm', 'explain', 'panic', 'doctor', 'check', 'lab', 'help'];
const machine: Place = { program: 'pointsman', commands };
const tree: Place = { ...machine, root: '/srv/a b' };
const lab: Place = { ...machine, root: '/run/pointsman-lab/q1/root' };

describe('typedCommands', () => {
  it.each<[string, Place, string]>([
    ['sudo pointsman up', machine, 'sudo pointsman up'],
    ['sudo pointsman up', lab, 'sudo pointsman lab --id q1 up'],
    ['sudo pointsman up', { ...machine, root: '/run/pointsman-lab/lab/root' }, 'sudo pointsman lab up'],
    ['sudo pointsman up --confirm 30s', lab, 'sudo pointsman up --lab q1 --confirm 30s'],
    ['sudo pointsman up', tree, "sudo pointsman up --root '/srv/a b'"],
    [
      'take over: sudo pointsman up; or: sudo pointsman down',
      lab,
      'take over: sudo pointsman lab --id q1 up; or: sudo pointsman down --lab q1',
    ],
    [
      'see "pointsman status"; pointsman panic off ends it',
      lab,
      'see "pointsman status --lab q1"; pointsman panic off --lab q1 ends it',
    ],
    ['sudo pointsman doctor --probe', lab, 'sudo pointsman doctor --lab q1 --probe'],
    ['pointsman explain curl example.org:443', lab, 'pointsman explain --lab q1 curl example.org:443'],
    ['pointsman confirm --lab q1', lab, 'pointsman confirm --lab q1'],
    ['pointsman confirm --root /x', lab, 'pointsman confirm --root /x'],
    ['sudo pointsman lab down', { ...lab, lab: 'q1' }, 'sudo pointsman lab --id q1 down'],
    ['sudo pointsman lab --id q1 down', { ...lab, lab: 'q1' }, 'sudo pointsman lab --id q1 down'],
    ['sudo pointsman confirm --root /x', { ...tree, program: './pointsman' }, 'sudo ./pointsman confirm --root /x'],
    ['pointsman panic open --lab q1', { ...lab, program: 'pm' }, 'pm panic open --lab q1'],
    [
      'pointsman up --root /x, or pointsman down',
      { ...lab, program: './pm' },
      './pm up --root /x, or ./pm down --lab q1',
    ],
    ['pointsman lab exec -- PROGRAM', machine, 'pointsman lab exec -- PROGRAM'],
    ['sudo pointsman status', { ...machine, program: './pointsman' }, 'sudo ./pointsman status'],
    ['sudo pointsman help exit-codes', lab, 'sudo pointsman help exit-codes'],
    // Nothing that is only called like it.
    [
      'group pointsman; /usr/bin/pointsman up; pointsman-up; pointsman upholds',
      lab,
      'group pointsman; /usr/bin/pointsman up; pointsman-up; pointsman upholds',
    ],
    ['    7 | # pointsman up', lab, '    7 | # pointsman up'],
  ])('typedCommands of %j', (text, place, typed) => {
    expect(typedCommands(text, place)).toBe(typed);
  });
});
