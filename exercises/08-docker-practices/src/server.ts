// The box office in TypeScript. Given: it stays as it is.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import express from 'express';
import { release } from './release.js';

const port = Number(process.env.PORT ?? 3000);
const program = dirname(process.argv[1] ?? '.');
// `npm run build` writes it beside the program.
const { proof } = JSON.parse(readFileSync(join(program, 'build.json'), 'utf8')) as { proof: string | null };

// Seat maps are drawn once and kept here. A folder that cannot be written ends the start.
const cacheFolder = process.env.CACHE_DIR ?? join(program, 'cache');
mkdirSync(cacheFolder, { recursive: true });
const seatMap = join(cacheFolder, 'seats.txt');
writeFileSync(seatMap, [...'ABCDEF'].map((row) => `${row} ${'.'.repeat(10)}\n`).join(''));

const app = express();

app.get('/api/health', (req, res) => {
  res.json({ status: 'ok' });
});

app.get('/api/build', (req, res) => {
  res.json({ release, proof });
});

app.get('/api/seats', (req, res) => {
  res.type('text/plain').send(readFileSync(seatMap, 'utf8'));
});

const server = app.listen(port, (error) => {
  if (error) throw error;
  console.log(`Server running on port ${port}`);
});

process.on('SIGTERM', () => server.close());
