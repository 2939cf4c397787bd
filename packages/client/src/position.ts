/* A position is a snapshot of the database: a number inside an epoch. Its text form is "epoch-number". */

export interface Position {
  epoch: string;
  number: number;
}

export function parsePosition(text: string | null | undefined): Position | null {
  const [, epoch, number] = /^([0-9a-f]{16})-(\d{1,15})$/.exec(text ?? "") ?? [];
  return epoch === undefined ? null : { epoch, number: Number(number) };
}

export function formatPosition(epoch: string, number: number): string {
  return `${epoch}-${number}`;
}
