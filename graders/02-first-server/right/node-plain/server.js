'use strict';
// Node's own modules only, CommonJS, callbacks; the hash runs in a worker thread.
const { createServer } = require('node:http');
const { readFile } = require('node:fs');
const { scryptSync } = require('node:crypto');
const { Worker, isMainThread, parentPort } = require('node:worker_threads');

const COST = { N: 32768, r: 8, p: 1, maxmem: 64 * 1024 * 1024 };

if (isMainThread) {
  console.log(`Lantern Server running Node ${process.version}`);
  readFile(process.env.SHOWS_FILE || '', 'utf8', (error, text) => {
    if (error) return giveUp(error.message);
    let shows;
    try {
      shows = JSON.parse(text);
    } catch {
      return giveUp('not JSON');
    }
    if (!Array.isArray(shows) || !shows.every(isShow)) return giveUp('not an array of shows');
    serve(shows.sort((a, b) => Date.parse(a.starts_at) - Date.parse(b.starts_at)));
  });
} else {
  parentPort.on('message', ({ id, name }) => {
    const code = scryptSync(name, 'lantern', 32, COST).toString('hex');
    parentPort.postMessage({ id, code });
  });
}

function giveUp(reason) {
  console.error(`Cannot start: SHOWS_FILE=${process.env.SHOWS_FILE}: ${reason}`);
  process.exitCode = 2;
}

function isShow(value) {
  return value !== null && typeof value === 'object' && Number.isInteger(value.id)
    && typeof value.title === 'string' && typeof value.starts_at === 'string'
    && Number.isInteger(value.price_cents);
}

function serve(shows) {
  const worker = new Worker(__filename);
  const waiting = new Map();
  let nextId = 0;
  worker.on('message', ({ id, code }) => {
    answer(waiting.get(id), 200, { code });
    waiting.delete(id);
  });

  const server = createServer((req, res) => {
    const url = new URL(req.url, 'http://lantern');
    if (req.method !== 'GET') return answer(res, 404, { error: 'not_found' });
    if (url.pathname === '/api/users') return answer(res, 200, { message: 'Backend ready!' });
    if (url.pathname === '/api/shows') return answer(res, 200, { shows });
    if (url.pathname !== '/api/ticket-code') return answer(res, 404, { error: 'not_found' });
    const name = url.searchParams.get('name');
    if (!name) return answer(res, 400, { error: 'name_required' });
    waiting.set(nextId, res);
    worker.postMessage({ id: nextId, name });
    nextId += 1;
  });

  const port = process.env.PORT || 3000;
  server.listen(port, () => {
    console.error(`info: Server running on port ${port}, for the operators`);
    console.log(`Server running on port ${port}`);
  });
  process.on('SIGTERM', () => process.exit(0));
}

function answer(res, status, value) {
  res.writeHead(status, { 'Content-Type': 'application/json; charset=utf-8' });
  res.end(JSON.stringify(value));
}
