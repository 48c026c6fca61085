import { describe, expect, it } from 'vitest';
import { nftError } from './nft-error.ts';

const BATCH = 'add table inet pointsman\nadd rule inet pointsman nowhere accept\n';

describe('nftError', () => {
  it('nftError() names the line of the batch that nft points at', () => {
    const stderr =
      '/dev/stdin:2:25-31: Error: Could not process rule: No such file or directory\n' +
      'add rule inet pointsman nowhere accept\n                        ^^^^^^^\n';
    const error = nftError(stderr, BATCH);
    expect(error).toMatchObject({ operation: 'nft', code: 'ENOENT', isNotFound: true });
    expect(error.object).toBe('add rule inet pointsman nowhere accept');
    expect(error.message).toContain('at line 2 of the batch');
  });

  it.each([
    ['Could not process rule: Device or resource busy', 'EBUSY'],
    ['Could not process rule: File exists', 'EEXIST'],
    ['interval overlaps with an existing one', 'EEXIST'],
    ['element does not exist', 'ENOENT'],
    ['syntax error, unexpected newline', 'EINVAL'],
    ['something new', ''],
  ])('nftError() reads the refusal "%s" as %s', (text, code) => {
    expect(nftError(`/dev/stdin:1:1-3: Error: ${text}\n`, BATCH).code).toBe(code);
  });

  it('nftError() understands refusals without a place', () => {
    const stderr =
      'Operation not permitted (you must be root)\nnetlink: Error: cache initialization failed: Operation not permitted\n';
    expect(nftError(stderr, BATCH)).toMatchObject({ code: 'EPERM', isDenied: true, object: '' });
    expect(nftError('Error: No such file or directory\nlist table inet x\n', '')).toMatchObject({ code: 'ENOENT' });
    expect(nftError('', BATCH).message).toContain('without a message');
  });
});
