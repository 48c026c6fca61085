import { describe, expect, it } from 'vitest';
import { capturedMessage } from './captured-messages.ts';
import { DecodeError } from './errors.ts';
import { decodeFamilyAnswer, decodeGeneric, encodeFamilyGet } from './generic.ts';

describe('encodeFamilyGet()', () => {
  it('encodeFamilyGet() asks for a family by its name', () => {
    const { type, flags, body } = encodeFamilyGet('nl80211');
    expect([type, flags]).toEqual([16, 1]);
    expect(Buffer.from(body).toString('hex')).toBe('030100000c0002006e6c383032313100');
  });
});

describe('decodeFamilyAnswer()', () => {
  it('decodeFamilyAnswer() reads name and number', () => {
    expect(decodeFamilyAnswer(capturedMessage('genericFamily'))).toEqual({ name: 'nlctrl', id: 16 });
  });

  it('decodeGeneric() refuses another family and another command', () => {
    const message = capturedMessage('genericFamily');
    expect(() => decodeGeneric(message, { family: 17, command: 1 })).toThrow(DecodeError);
    expect(() => decodeGeneric(message, { family: 16, command: 2 })).toThrow(DecodeError);
  });
});
