import { createHash, randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { pool } from './database.js';
import { expectFields, Problem } from './problems.js';

const TTL_S = Number(process.env.SESSION_TTL_SECONDS ?? 1800);
const COST = { N: 2 ** 14, r: 8, p: 1 };
const NAME = [(v) => typeof v === 'string' && /^[a-z]{3,20}$/.test(v), 'must be 3 to 20 letters, a to z'];
const PASSWORD = [(v) => typeof v === 'string' && v.length >= 10, 'must have at least 10 characters'];
// A stranger's password is compared with this one, so that it takes as long as a known user's.
const NOBODY = await hash(randomBytes(16).toString('hex'));

export async function register(req, res) {
  const { user, password } = expectFields(req.body, { user: NAME, password: PASSWORD });
  const made = await pool.query(
    'INSERT INTO users VALUES ($1, $2) ON CONFLICT DO NOTHING', [user, await hash(password)]);
  if (made.rowCount === 0) throw new Problem(409, 'user-taken');
  res.status(201).json({ user });
}

export async function logIn(req, res) {
  const { user, password } = req.body ?? {};
  const { rows: [found] } = await pool.query('SELECT password_hash FROM users WHERE name = $1', [String(user)]);
  if (!await matches(String(password), found?.password_hash ?? NOBODY)) {
    throw new Problem(401, 'bad-credentials', { headers: { 'WWW-Authenticate': 'Cookie' } });
  }
  const sid = randomBytes(32).toString('base64url');
  await pool.query(
    "INSERT INTO sessions VALUES ($1, $2, now() + $3 * interval '1 second')", [digest(sid), user, TTL_S]);
  res.cookie('sid', sid, { httpOnly: true, sameSite: 'lax', path: '/' }).status(204).end();
}

export async function logOut(req, res) {
  await pool.query('DELETE FROM sessions WHERE token_hash = $1', [digest(sidOf(req))]);
  res.clearCookie('sid').status(204).end();
}

// Middleware: behind it, res.locals.user is the one who asks.
export async function signedIn(req, res, next) {
  const { rows: [session] } = await pool.query(
    'SELECT user_name FROM sessions WHERE token_hash = $1 AND expires_at > now()', [digest(sidOf(req))]);
  if (!session) throw new Problem(401, 'not-signed-in', { headers: { 'WWW-Authenticate': 'Cookie' } });
  res.locals.user = session.user_name;
  next();
}

// Middleware: only the theatre's own people, who have the key.
export function staffOnly(req, res, next) {
  const [given, right] = [req.get('X-Staff-Key') ?? '', process.env.STAFF_KEY ?? randomBytes(16)].map(digest);
  if (given !== right) throw new Problem(401, 'staff-only', { headers: { 'WWW-Authenticate': 'Staff-Key' } });
  next();
}

async function hash(password, salt = randomBytes(16)) {
  const bytes = await promisify(scrypt)(password, salt, 32, COST);
  return `$scrypt$ln=14,r=8,p=1$${salt.toString('base64')}$${bytes.toString('base64')}`;
}

async function matches(password, stored) {
  const salt = Buffer.from(stored.split('$')[3], 'base64');
  return timingSafeEqual(Buffer.from(await hash(password, salt)), Buffer.from(stored));
}

function sidOf(req) {
  const cookies = (req.get('Cookie') ?? '').split(';').map((cookie) => cookie.trim().split('='));
  return cookies.find(([name]) => name === 'sid')?.[1] ?? '';
}

function digest(text) {
  return createHash('sha256').update(text).digest('hex');
}
