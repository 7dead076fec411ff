import { log } from './log.js';

// A deliberate refusal, which becomes problem details (RFC 9457).
export class Problem extends Error {
  constructor(status, name, { errors, headers = {} } = {}) {
    super(name);
    Object.assign(this, { status, errors, headers });
  }
}

// Throws a problem that names every field that breaks its rule.
export function expectFields(body, rules) {
  const value = body !== null && typeof body === 'object' && !Array.isArray(body) ? body : {};
  const errors = Object.entries(rules)
    .filter(([field, [isRight]]) => !isRight(value[field]))
    .map(([field, [, detail]]) => ({ pointer: `/${field}`, detail }));
  if (errors.length > 0) throw new Problem(422, 'invalid-fields', { errors });
  return value;
}

export function sendProblem(error, req, res, next) {
  if (res.headersSent) return res.destroy(error);
  let { status } = error;
  if (!(error instanceof Problem)) {
    // A body that can't be parsed is the caller's mistake. Anything else is ours, and only the log has the details.
    status = status >= 400 && status < 500 ? status : 503;
    if (status === 503) log('error', 'request failed', { stack: error.stack });
  }
  const name = error instanceof Problem ? error.message : status === 503 ? 'try-again' : 'bad-request';
  if (status === 503) res.set('Retry-After', '1');
  const problem = { type: `/problems/${name}`, title: name.replaceAll('-', ' '), status, errors: error.errors };
  res.status(status).set(error.headers ?? {}).type('application/problem+json').send(JSON.stringify(problem));
}
