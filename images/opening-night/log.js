import { AsyncLocalStorage } from 'node:async_hooks';
import { randomBytes } from 'node:crypto';

const service = process.env.SERVICE_NAME ?? 'lantern';
const TRACEPARENT = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})$/;

// What runs for one request or one message finds its trace here, also after an await.
export const trace = new AsyncLocalStorage();

// Only fields that we choose are logged, never a whole body or header: so there is nothing to hide.
export function log(level, msg, fields = {}) {
  const { trace_id } = trace.getStore() ?? {};
  process.stdout.write(`${JSON.stringify({ ts: new Date().toISOString(), level, msg, service, trace_id, ...fields })}\n`);
}

// Returns the trace that a traceparent names, or a new one.
export function traceOf(traceparent) {
  const [, trace_id, flags] = TRACEPARENT.exec(traceparent ?? '') ?? [null, hex(16), '01'];
  return { trace_id, flags };
}

// Returns the traceparent for a call that we make now: the same trace, and a span of its own.
export function traceparent() {
  const { trace_id, flags } = trace.getStore();
  return `00-${trace_id}-${hex(8)}-${flags}`;
}

const hex = (bytes) => randomBytes(bytes).toString('hex');
