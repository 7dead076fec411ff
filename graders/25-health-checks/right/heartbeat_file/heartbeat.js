// The loop's heart beats in a file; alive.sh looks at the same file.
import { statSync, writeFileSync } from 'node:fs';

const FILE = '/tmp/heartbeat';
const STOPS_AFTER_MS = 1400;

export const beat = () => writeFileSync(FILE, '');

export function beats() {
  const file = statSync(FILE, { throwIfNoEntry: false });
  return !file || Date.now() - file.mtimeMs < STOPS_AFTER_MS;
}
