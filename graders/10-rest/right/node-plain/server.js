'use strict';
// Node's own modules only: a list that is kept in order, a tag that is drawn anew with each change.
const { createServer } = require('node:http');
const { randomUUID } = require('node:crypto');

const { PORT = '3000' } = process.env;
const list = [];
const tags = new WeakMap();
const known = {};
let drawn = 40;

const no = (status, error, headers) => Object.assign(new Error(error), { status, headers });

createServer(async (req, res) => {
  let status, value, headers = {};
  try {
    const url = new URL(req.url, `http://${req.headers.host}`);
    let text = '';
    for await (const piece of req.setEncoding('utf8')) text += piece;
    [status, value, headers = {}] = route(req, url, text);
  } catch (error) {
    if (!error.status) console.error(error);
    [status, value, headers] = [error.status ?? 500, { error: error.message }, error.headers];
  }
  const json = typeof value !== 'string';
  res.writeHead(status, `So be it ${status}`, {
    'x-lantern': 'yes',
    ...(value !== undefined && { 'content-type': json ? 'application/json; charset=UTF-8' : 'text/csv' }),
    ...headers,
  });
  if (value !== undefined) res.write(json ? JSON.stringify(value, null, 2) : value);
  res.end();
}).listen(+PORT, '0.0.0.0');

function route(req, url, text) {
  const [, api, shows, id, bookings, rest] = url.pathname.split('/');
  if (api !== 'api' || shows !== 'shows' || rest !== undefined) throw no(404, 'not_found');
  const what = `${req.method} ${id === undefined ? 'all' : bookings === undefined ? 'one' : bookings}`;
  const body = () => JSON.parse(text);
  if (what === 'GET all') return page(url, req.headers.accept);
  if (what === 'POST all') return create(body(), url);
  const show = list.find((one) => String(one.id) === id);
  if (!show) throw no(404, 'not_found');
  switch (what) {
    case 'GET one': return isKnown(req, show) ? [304, undefined, tagged(show)] : [200, show, tagged(show)];
    case 'DELETE one': list.splice(list.indexOf(show), 1); return [204];
    case 'PUT one': return exchange(show, req, body());
    case 'PATCH one': {
      const [kind] = (req.headers['content-type'] ?? '').toLowerCase().split(/\s*;/);
      if (kind !== 'application/merge-patch+json') {
        throw no(415, 'merge_patch_only', { 'accept-patch': 'application/merge-patch+json' });
      }
      const wanted = Object.entries({ ...show, ...body() }).filter(([, value]) => value !== null);
      return exchange(show, req, Object.fromEntries(wanted));
    }
    case 'POST bookings': return book(show, body(), req.headers['idempotency-key']);
    default: throw no(405, 'method_not_allowed', { allow: 'GET, PUT, PATCH, DELETE' });
  }
}

function tagged(show) {
  return { eTaG: tags.get(show) };
}

function isKnown(req, show) {
  return (req.headers['if-none-match'] ?? '').split(',').some((tag) => tag.trim().replace(/^W\//, '') === tags.get(show));
}

function create(body, url) {
  const show = valid({ ...body, id: drawn += 3 });
  insert(show);
  return [201, show, { ...tagged(show), location: `${url.origin}/api/shows/${show.id}` }];
}

// The list stays sorted, so a page is a slice of it.
function insert(show) {
  tags.set(show, `"${randomUUID()}"`);
  const at = list.findIndex((other) => follows(other, show));
  list.splice(at < 0 ? list.length : at, 0, show);
}

function follows(one, other) {
  return one.starts_at > other.starts_at || (one.starts_at === other.starts_at && one.id > other.id);
}

function exchange(show, req, body) {
  const wanted = req.headers['if-match']?.split(/\s*,\s*/);
  if (!wanted) throw no(428, 'precondition_required');
  if (!wanted.includes(tags.get(show))) throw no(412, 'stale');
  const changed = valid({ ...body, id: show.id });
  list.splice(list.indexOf(show), 1);
  insert(changed);
  return [200, changed, tagged(changed)];
}

function valid({ id, title, starts_at, price_cents, note }) {
  const ok = [title, starts_at, note ?? ''].every((text) => typeof text === 'string')
    && title && Number.isSafeInteger(price_cents) && price_cents > 0 && isTime(starts_at);
  if (!ok) throw no(422, 'invalid_show');
  return note === undefined ? { price_cents, starts_at, title, id } : { note, price_cents, starts_at, title, id };
}

function isTime(text) {
  const match = /^(\d{4})-(\d\d)-(\d\d)T([01]\d|2[0-3]):([0-5]\d):([0-5]\d)Z$/.exec(text);
  if (!match) return false;
  const day = new Date(Date.UTC(match[1], match[2] - 1, match[3]));
  return day.getUTCMonth() === match[2] - 1 && day.getUTCDate() === +match[3];
}

function page(url, accept = '*/*') {
  const limit = url.searchParams.get('limit') || '20';
  const after = url.searchParams.get('after');
  if (!/^([1-9]|[1-4]\d|50)$/.test(limit)) throw no(400, 'bad_query');
  const place = after === null ? undefined : /^(.{20})\|(\d+)\|[0-9a-f-]{36}$/.exec(after);
  if (place === null || (place && !isTime(place[1]))) throw no(400, 'bad_query');
  const from = place ? { starts_at: place[1], id: +place[2] } : undefined;
  const start = from ? list.findIndex((show) => follows(show, from)) : 0;
  const items = start < 0 ? [] : list.slice(start, start + +limit);
  const last = items.at(-1);
  const more = last && last !== list.at(-1);
  // Each cursor is another one, even for the same page.
  const next = more ? `${last.starts_at}|${last.id}|${randomUUID()}` : null;
  const headers = { vary: 'accept' };
  if (more) headers.link = `<${url.pathname}?after=${encodeURIComponent(next)}&limit=${limit}>;rel=next`;
  const [json, csv] = [quality(accept, 'application', 'json'), quality(accept, 'text', 'csv')];
  if (json === 0 && csv === 0) throw no(406, 'not_acceptable');
  return [200, csv > json ? table(items) : { items, next, count: items.length }, headers];
}

function quality(accept, type, subtype) {
  let best = [-1, 0];
  for (const range of accept.toLowerCase().split(',')) {
    const [name, ...params] = range.split(';').map((word) => word.trim());
    const rank = ['*/*', `${type}/*`, `${type}/${subtype}`].indexOf(name);
    const q = params.find((param) => param.startsWith('q='))?.slice(2) ?? '1';
    if (rank > best[0]) best = [rank, Number(q)];
  }
  return best[1];
}

function table(items) {
  const quoted = ({ id, title, starts_at, price_cents }) => `${id},"${title.replace(/"/g, '""')}",${starts_at},${price_cents}`;
  return ['id,title,starts_at,price_cents', ...items.map(quoted)].join('\r\n');
}

function book(show, { seat, user }, key) {
  const places = known[show.id] ??= { keys: [] };
  if (typeof seat !== 'string' || !/^[A-F]([1-9]|10)$/.test(seat)) throw no(422, 'invalid_booking');
  if (typeof user !== 'string' || user === '') throw no(422, 'invalid_booking');
  if (key !== undefined) {
    const owner = Object.values(known).flatMap((one) => one.keys).find((one) => one.key === key);
    if (owner) {
      const { booking } = owner;
      if (booking.show_id === show.id && booking.seat === seat && booking.user === user) return [201, booking];
      throw no(422, 'key_reused');
    }
  }
  if (Object.hasOwn(places, seat)) throw no(409, 'seat_taken');
  const { price_cents } = show;
  const booking = Object.freeze({ price_cents, user, seat, show_id: show.id, status: 'confirmed', id: randomUUID() });
  places[seat] = booking;
  if (key !== undefined) places.keys.push({ key, booking });
  return [201, booking];
}
