/* How far something is, from 0 to 1. */
export function Progress({ label, value }: { label: string; value: number }) {
  return (
    <progress className="progress progress-primary h-2 w-full" aria-label={label} value={value} max={1} />
  );
}
