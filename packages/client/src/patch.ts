/* JSON: whether two values say the same, and merge patch, RFC 7396: objects are merged member by member, null removes
 * one, anything else replaces. */

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function sameJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((item, i) => sameJson(item, b[i]));
  if (!isObject(a) || !isObject(b)) return false;
  const names = Object.keys(a);
  return (
    names.length === Object.keys(b).length &&
    names.every((name) => Object.hasOwn(b, name) && sameJson(a[name], b[name]))
  );
}

/** A new value; parts that the patch does not touch are the same objects as before. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch;
  const merged: Record<string, unknown> = isObject(target) ? { ...target } : {};
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete merged[name];
    // Defined, not assigned: "__proto__" is a member like any other.
    else
      Object.defineProperty(merged, name, {
        value: mergePatch(Object.hasOwn(merged, name) ? merged[name] : undefined, value),
        configurable: true,
        enumerable: true,
        writable: true,
      });
  }
  return merged;
}
