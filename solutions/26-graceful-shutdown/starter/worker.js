import { createClient } from 'redis';

const { MAIL_URL, REDIS_URL, QUEUE } = process.env;

const redis = createClient({ url: REDIS_URL });
redis.on('error', (error) => console.error(`redis: ${error.message}`));
await redis.connect();
console.log('Worker running');

while (true) {
  // It waits as long as there is no job.
  const { element: job } = await redis.blPop(QUEUE, 0);
  await mail(job);
}

async function mail(job) {
  const headers = { 'Content-Type': 'application/json' };
  const reply = await fetch(`${MAIL_URL}/mails`, { method: 'POST', headers, body: JSON.stringify({ job }) });
  if (!reply.ok) throw new Error(`the mail server answered ${reply.status}`);
}
