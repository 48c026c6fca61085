import { describe, expect, it } from 'vitest';
import { isPolicyFileName, layerStrength } from './layers.ts';

describe('isPolicyFileName', () => {
  it.each(['a.yaml', 'org.example.Mail.yml', 'a b.yaml'])('isPolicyFileName takes %s', (name) => {
    expect(isPolicyFileName(name)).toBe(true);
  });

  it.each([
    '.a.yaml',
    '.yaml',
    'a.yaml~',
    'a.yaml.dpkg-new',
    'a.yaml.dpkg-old',
    '.a.yaml.swp',
    '#a.yaml#',
    '.#a.yaml',
    'a.json',
    'yaml',
    '',
  ])('isPolicyFileName leaves out %j', (name) => {
    expect(isPolicyFileName(name)).toBe(false);
  });
});

describe('layerStrength', () => {
  it('layerStrength orders the layers as documented', () => {
    const order = ['builtin', 'package', 'administrator', 'answers', 'locks'] as const;
    expect(order.map(layerStrength)).toEqual([0, 1, 2, 3, 4]);
  });
});
