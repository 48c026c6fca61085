/** Answers of `org.freedesktop.DBus.ObjectManager.GetManagedObjects`: objects, their interfaces, and these one's properties. */
import type { Value } from '../dbus/decode-value.ts';

export type Properties = ReadonlyMap<Value, Value>;
/** By object path, then by interface. */
export type ManagedObjects = ReadonlyMap<string, ReadonlyMap<string, Properties>>;

const MAX_TEXT = 256;

/** `a{oa{sa{sv}}}`; what is otherwise counts as no objects. */
export function managedObjects([answer]: readonly Value[]): ManagedObjects {
  return answer instanceof Map ? (answer as ManagedObjects) : new Map();
}

export function textIn(properties: Properties | undefined, name: string): string | undefined {
  const value = properties?.get(name);
  return typeof value === 'string' && value !== '' ? value.slice(0, MAX_TEXT) : undefined;
}

export function numberIn(properties: Properties | undefined, name: string): number | undefined {
  const value = properties?.get(name);
  return typeof value === 'number' ? value : undefined;
}

export function listIn(properties: Properties | undefined, name: string): readonly Value[] {
  const value = properties?.get(name);
  return Array.isArray(value) ? value : [];
}
