// The poster of each show: bytes, and what they are.
import { mkdir, readFile, writeFile } from 'node:fs/promises';

const FOLDER = '/tmp/posters';
await mkdir(FOLDER, { recursive: true });

export async function savePoster(show, type, bytes) {
  await writeFile(`${FOLDER}/${show}.type`, type);
  await writeFile(`${FOLDER}/${show}`, bytes);
}

export async function loadPoster(show) {
  try {
    return { type: await readFile(`${FOLDER}/${show}.type`, 'utf8'), bytes: await readFile(`${FOLDER}/${show}`) };
  } catch {
    return undefined;
  }
}
