'use strict';
// Node's own modules only; a show is kept as minutes, digits and a hall, which is neither version.
const { createServer } = require('node:http');

const { PORT = '3000', DEPRECATED_AT, SUNSET_AT } = process.env;
const list = [];

class No extends Error {
  constructor(status, name) {
    super(name);
    this.status = status;
  }
}

createServer(async (req, res) => {
  const { pathname } = new URL(req.url, `http://${req.headers.host}`);
  const [, inPath, rest] = /^(?:\/v([12]))?(\/shows.*)$/.exec(pathname) ?? [null, null, ''];
  const version = inPath ?? req.headers['lantern-version'] ?? '1';
  const headers = inPath ? {} : { vary: 'accept, lantern-version' };
  let status, value;
  let type = 'application/json';
  try {
    if (!['1', '2'].includes(version)) {
      [status, value] = [400, { supported: [1, 2], error: 'unknown_version' }];
      return;
    }
    if (version === '1') announce(headers, rest);
    let text = '';
    for await (const piece of req.setEncoding('utf8')) text += piece;
    if (version === '1' && SUNSET_AT && Date.now() / 1000 >= Number(SUNSET_AT)) throw new No(410, 'version-ended');
    [status, value] = route(req.method, rest, version, text);
    if (status === 201) headers.location = `http://${req.headers.host}${inPath ? `/v${inPath}` : ''}/shows/${value.id}`;
  } catch (error) {
    if (!error.status) console.error(error);
    status = error.status ?? 500;
    if (version === '1' && status !== 410) {
      value = { error: error.message.replace('-', '_'), help: 'none' };
    } else {
      type = 'application/problem+json; charset=utf-8';
      value = { status, title: 'No.', detail: error.message, id: 'none', type: `/problems/${error.message}` };
    }
  } finally {
    res.writeHead(status, `So be it ${status}`, { 'content-type': type, ...headers });
    res.write(' ');
    res.end(JSON.stringify(value, null, 2));
  }
}).listen(Number(PORT), () => console.log('Server running'));

process.on('SIGTERM', () => process.exit(0));

function announce(headers, rest) {
  headers.link = ['</terms>; rel="terms-of-service"', `<http://localhost/v2${rest}>; title="a, b"; rel="successor-version"`];
  if (DEPRECATED_AT) headers.deprecation = `@${DEPRECATED_AT}`;
  if (SUNSET_AT) headers.sunset = new Date(Number(SUNSET_AT) * 1000).toUTCString();
}

function route(method, rest, version, text) {
  const said = version === '1' ? in1 : in2;
  const id = /^\/shows\/([0-9]+)$/.exec(rest)?.[1];
  const show = list.find((one) => String(one.id) === id);
  if (method === 'GET' && rest === '/shows') return [200, version === '1' ? list.map(in1) : { total: list.length, items: list.map(in2) }];
  if (method === 'POST' && rest === '/shows') {
    const fresh = { id: 101 + 7 * list.length, hall: null };
    change(fresh, version, read(text));
    list.push(fresh);
    return [201, said(fresh)];
  }
  if (!show) throw new No(404, 'not-found');
  if (method === 'PUT') change(show, version, read(text));
  return [200, said(show)];
}

function read(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new No(400, 'bad-json');
  }
}

function change(show, version, { title, when, price, starts_at, price_cents, venue }) {
  const time = version === '1' ? when : starts_at;
  const form = version === '1' ? /^(\d{4})-(\d\d)-(\d\d) (\d\d):(\d\d)$/ : /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):00Z$/;
  const parts = typeof time === 'string' && form.exec(time)?.slice(1).map(Number);
  need(parts && typeof title === 'string' && title.length > 0);
  const minutes = Date.UTC(parts[0], parts[1] - 1, ...parts.slice(2)) / 60_000;
  const text = version === '1' ? price : Number.isInteger(price_cents) && String(price_cents / 100 > 0 ? price_cents : 'no').replace(/^(\d?)$/, '0$1').replace(/^(\d\d)$/, '0$1').replace(/(..)$/, '.$1');
  need(typeof text === 'string' && /^(0|[1-9]\d{0,4})\.\d\d$/.test(text) && text !== '0.00');
  const fields = { title, minutes, price: text };
  need(version === '1' ? in1(fields).when === time : in2(fields).starts_at === time);
  if (version === '2') {
    need(venue === undefined || venue === null || (typeof venue === 'string' && venue !== ''));
    fields.hall = venue ?? null;
  }
  Object.assign(show, fields);
}

function need(holds) {
  if (!holds) throw new No(422, 'invalid-show');
}

function in1({ id, title, minutes, price, hall }) {
  return { hall, price, when: new Date(minutes * 60_000).toISOString().slice(0, 16).replace('T', ' '), title, id };
}

function in2({ id, title, minutes, price, hall }) {
  const starts_at = new Date(minutes * 60_000).toISOString().replace('.000', '');
  return { venue: hall ?? null, price_cents: Number(price.replace('.', '')), starts_at, title, id, currency: 'EUR', status: 'on sale' };
}
