'use strict';
// Node's own modules only: a table of routes, and paths that are split first and decoded afterwards.
const { createServer } = require('node:http');
const fs = require('node:fs');

const { SHOWS_FILE, POSTERS_DIR, PORT = 3000 } = process.env;
const shows = JSON.parse(fs.readFileSync(SHOWS_FILE, 'utf8'))
  .sort((a, b) => Date.parse(a.starts_at) - Date.parse(b.starts_at));
const sold = new Map(shows.map((show) => [String(show.id), new Set()]));

// Every poster there is, by its path: what is not in this list does not exist.
const posters = new Map();
(function collect(folder, prefix) {
  for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) collect(`${folder}/${entry.name}`, `${prefix}${entry.name}/`);
    if (entry.isFile()) posters.set(prefix + entry.name, `${folder}/${entry.name}`);
  }
})(POSTERS_DIR, '');

const table = [
  ['api shows', { GET: listShows }],
  ['api shows next', { GET: nextShow }],
  ['api shows :', { GET: (params) => show(params[0]) }],
  ['api shows : seats :', { GET: lookAt, POST: take }],
  ['api titles :', { GET: ([title]) => found(shows.find((one) => one.title === title)) }],
  ['posters *', { GET: ([path], { res }) => sendPoster(path, res) }],
];

const no = (status, error, headers = {}) => Object.assign(new Error(error), { status, headers });
const found = (value) => { if (value) return value; throw no(404, 'not_found'); };

createServer(async (req, res) => {
  const [path, query = ''] = req.url.split(/\?(.*)/s);
  if (path.includes('//')) {
    res.writeHead(301, { location: path.replace(/\/{2,}/g, '/') }).end();
    return;
  }
  try {
    const { handlers, params } = route(path.split('/').slice(1));
    const handler = Object.hasOwn(handlers, req.method) ? handlers[req.method] : undefined;
    if (!handler) throw no(405, 'method_not_allowed', { allow: Object.keys(handlers).concat('HEAD').join(',') });
    const context = { req, res, query: new URLSearchParams(query), status: 200 };
    const value = await handler(params, context);
    if (value) reply(res, context.status, value);
  } catch (error) {
    reply(res, error.status ?? 500, { error: error.status ? error.message : 'internal' }, error.headers);
  }
}).listen(PORT, '0.0.0.0');

function route(parts) {
  for (const [form, handlers] of table) {
    const wanted = form.split(' ');
    const rest = wanted.at(-1) === '*';
    if (rest ? parts.length < wanted.length : parts.length !== wanted.length) continue;
    if (!wanted.every((word, n) => word === ':' || word === '*' || word === parts[n])) continue;
    const params = wanted.flatMap((word, n) => (word === ':' ? [decoded(parts[n])] : []));
    if (rest) params.push(parts.slice(wanted.length - 1).map(decoded).join('/'));
    return { handlers, params };
  }
  throw no(404, 'not_found');
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    throw no(400, 'bad_path');
  }
}

function one(query, name) {
  const values = query.getAll(name);
  if (values.length > 1) throw no(400, 'bad_query');
  return values[0];
}

function time(query, name) {
  const text = one(query, name);
  if (text === undefined) return text;
  const match = /^(\d{4})-(\d\d)-(\d\d)T([01]\d|2[0-3]):([0-5]\d):([0-5]\d)Z$/.exec(text);
  if (!match || new Date(Date.UTC(match[1], match[2] - 1, match[3])).getUTCDate() !== Number(match[3])
    || Number(match[2]) > 12) throw no(400, 'bad_query');
  return Date.parse(text);
}

function listShows(_, { query }) {
  const q = (one(query, 'q') ?? '').toLowerCase();
  const [from = -Infinity, to = Infinity] = [time(query, 'from'), time(query, 'to')];
  const limit = one(query, 'limit') ?? '20';
  if (!/^\d+$/.test(limit) || +limit < 1 || +limit > 50) throw no(400, 'bad_query');
  return {
    count: shows.length,
    shows: shows.filter(({ title, starts_at: at }) => title.toLowerCase().includes(q)
      && Date.parse(at) >= from && Date.parse(at) < to).slice(0, +limit),
  };
}

function nextShow(_, { query }) {
  const at = time(query, 'at');
  if (at === undefined) throw no(400, 'bad_query');
  return found(shows.find((show) => Date.parse(show.starts_at) > at));
}

function show(id) {
  return found(shows.find((one) => String(one.id) === id));
}

function seats([id, seat]) {
  show(id);
  if (!/^[A-F]([1-9]|10)$/.test(seat)) throw no(404, 'not_found');
  return sold.get(id);
}

function lookAt(params) {
  const [id, seat] = params;
  return { show_id: Number(id), seat, taken: seats(params).has(seat) };
}

async function take(params, context) {
  const [, seat] = params;
  const ofShow = seats(params);
  let text = '';
  for await (const piece of context.req.setEncoding('utf8')) text += piece;
  if (ofShow.has(seat)) throw no(409, 'seat_taken');
  ofShow.add(seat);
  context.status = 201;
  return { user: JSON.parse(text).user, seat };
}

function sendPoster(path, res) {
  const file = found(posters.get(path));
  // Without a length the body comes in chunks.
  res.writeHead(200);
  fs.createReadStream(file).pipe(res);
}

function reply(res, status, value, headers = {}) {
  res.writeHead(status, { 'content-type': 'application/json; charset=utf-8', ...headers });
  res.end(JSON.stringify(value));
}
