// The notice board of the box office. Given: it stays as it is.
import { appendFileSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import express from 'express';

const version = process.env.APP_VERSION ?? 'unknown';

if (process.argv.includes('--version')) {
  console.log(version);
  process.exit(0);
}

const port = Number(process.env.PORT ?? 3000);
const dataFolder = process.env.DATA_DIR ?? '/data';
// One note a line, each a JSON object. It is read for each request, never kept in memory.
const notesFile = join(dataFolder, 'notes.jsonl');

mkdirSync(dataFolder, { recursive: true });
appendFileSync(notesFile, '');

const app = express();
app.use(express.json());

app.get('/api/version', (req, res) => {
  res.json({ version });
});

app.get('/api/banner', (req, res) => {
  res.json({ banner: process.env.BANNER ?? null });
});

app.get('/api/notes', (req, res) => {
  const lines = readFileSync(notesFile, 'utf8').split('\n').filter(Boolean);
  res.json({ notes: lines.map((line) => JSON.parse(line).text) });
});

app.post('/api/notes', (req, res) => {
  const text = req.body?.text;
  if (typeof text !== 'string' || text === '') {
    return res.status(400).json({ error: 'text_required' });
  }
  appendFileSync(notesFile, `${JSON.stringify({ text })}\n`);
  res.status(201).json({ text });
});

const server = app.listen(port, (error) => {
  if (error) throw error;
  console.log(`Server running on port ${port}`);
});

process.on('SIGTERM', () => {
  console.log('SIGTERM: the board closes');
  server.close();
});
