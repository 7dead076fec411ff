// The loop's heart beats in a file. As a program, this exits with 1 where it has stopped.
import { statSync, writeFileSync } from 'node:fs';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';

const FILE = '/tmp/heartbeat';
const STOPS_AFTER_MS = 1400;

export const beat = () => writeFileSync(FILE, '');

export function beats() {
  const file = statSync(FILE, { throwIfNoEntry: false });
  return !file || Date.now() - file.mtimeMs < STOPS_AFTER_MS;
}

if (argv[1] === fileURLToPath(import.meta.url)) process.exit(beats() ? 0 : 1);
