import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from 'redis';

const { MAIL_URL, REDIS_URL, QUEUE } = process.env;
const redis = await createClient({ url: REDIS_URL }).connect();
const stop = new AbortController();
process.on('SIGTERM', () => stop.abort());

// A job stays in the list until it is mailed: there is one worker, so nobody else takes it.
while (!stop.signal.aborted) {
  const job = await redis.lIndex(QUEUE, -1);
  if (job === null) {
    await sleep(100, undefined, { signal: stop.signal }).catch(() => {});
    continue;
  }
  const body = JSON.stringify({ job });
  const reply = await fetch(MAIL_URL + '/mails', { method: 'POST', body, headers: { 'content-type': 'application/json' } });
  if (reply.status === 202) await redis.lRem(QUEUE, -1, job);
}
process.exit();
