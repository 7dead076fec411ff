import { log } from './log.js';

// A refusal that we mean: it becomes problem details, as RFC 9457 describes them.
export class Problem extends Error {
  constructor(status, name, { errors, headers = {} } = {}) {
    super(name);
    Object.assign(this, { status, errors, headers });
  }
}

// Throws a problem that names every field whose rule isn't met.
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
    // A parser's mistake is the caller's; anything else is ours, and only the log says what it was.
    status = status >= 400 && status < 500 ? status : 503;
    if (status === 503) log('error', 'request failed', { stack: error.stack });
  }
  const name = error instanceof Problem ? error.message : status === 503 ? 'try-again' : 'bad-request';
  if (status === 503) res.set('Retry-After', '1');
  const problem = { type: `/problems/${name}`, title: name.replaceAll('-', ' '), status, errors: error.errors };
  res.status(status).set(error.headers ?? {}).type('application/problem+json').send(JSON.stringify(problem));
}
