import { readFileSync } from 'node:fs';
import { createServer as createHttp } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import express from 'express';
import { logIn, logOut, register, signedIn, staffOnly } from './accounts.js';
import { book, cancel, readBooking } from './bookings.js';
import { closeCache, limit } from './bucket.js';
import { pool } from './database.js';
import { endStreams, follow, watchEvents } from './events.js';
import { log, trace, traceOf } from './log.js';
import { counter, histogram, serveMetrics } from './metrics.js';
import { Problem, sendProblem } from './problems.js';
import { isReady, leave } from './ready.js';
import { addShow, changeShow, listShows, readSeats, readShow } from './shows.js';

const { PORT = 3000, DRAIN_MS = 0, SHUTDOWN_TIMEOUT_MS = 4000, TLS_CERT_FILE, TLS_KEY_FILE } = process.env;
const countRequest = counter('http_requests_total', 'Requests that are over.');
const measure = histogram('http_request_duration_seconds', 'From a request to the end of its reply.');

const app = express();
app.disable('x-powered-by');

app.get('/healthz', (req, res) => res.json({ status: 'ok' }));
app.get('/readyz', async (req, res) => res.status(await isReady() ? 200 : 503).end());

app.use((req, res, next) => {
  const begun = performance.now();
  const current = traceOf(req.get('traceparent'));
  // The event comes from the socket, which knows nothing of this request: so it is told the trace.
  res.once('close', () => trace.run(current, () => tell(req, res, (performance.now() - begun) / 1000)));
  trace.run(current, next);
});

app.use((req, res, next) => {
  if (['POST', 'PUT'].includes(req.method) && !req.is('json')) throw new Problem(415, 'json-only');
  next();
}, express.json({ limit: '10kb' }));

app.post('/api/users', register);
app.post('/api/login', logIn);
app.post('/api/logout', logOut);
app.get('/api/me', signedIn, (req, res) => res.json({ user: res.locals.user }));

app.get('/v2/shows', limit, listShows);
app.post('/v2/shows', staffOnly, addShow);
app.get('/v2/shows/:id', limit, readShow);
app.put('/v2/shows/:id', staffOnly, changeShow);
app.get('/v2/shows/:id/seats', readSeats);
app.get('/v2/shows/:id/events', follow);

app.post('/api/bookings', signedIn, book);
app.get('/api/bookings/:id', signedIn, readBooking);
app.delete('/api/bookings/:id', signedIn, cancel);

app.use(() => { throw new Problem(404, 'not-found'); });
app.use(sendProblem);

function tell(req, res, seconds) {
  const route = req.route?.path ?? 'other';
  const status = res.writableFinished ? res.statusCode : 499;
  const labels = { method: req.method, route };
  countRequest({ ...labels, status });
  measure(labels, seconds);
  const level = status >= 500 ? 'error' : 'info';
  log(level, 'request ended', { ...labels, path: req.path, status, duration_ms: Math.round(seconds * 1000) });
}

const server = TLS_CERT_FILE
  ? createHttps({ cert: readFileSync(TLS_CERT_FILE), key: readFileSync(TLS_KEY_FILE) }, app)
  : createHttp(app);
// Two quick connections of one guest must not wait for each other's turn in the backlog.
server.listen({ port: Number(PORT), backlog: 1024 }, () => log('info', 'edge listens', { port: Number(PORT) }));
serveMetrics(isReady);
watchEvents();

let stopping = false;
process.on('SIGTERM', async () => {
  if (stopping) process.exit(1);
  stopping = true;
  leave();
  setTimeout(() => process.exit(1), Number(DRAIN_MS) + Number(SHUTDOWN_TIMEOUT_MS)).unref();
  // Whoever sends us guests gets the time to see that we aren't ready.
  await sleep(Number(DRAIN_MS));
  endStreams();
  server.close(async () => {
    closeCache();
    await pool.end();
    process.exit();
  });
});
