// Plays the pricing service and the mail server. Every third price fails, and so do all mails to poison.
import { createServer } from 'node:http';

let asked = 0;

createServer(async (req, res) => {
  let body = '';
  for await (const part of req) body += part;
  const status = req.url.startsWith('/quote') ? quote() : mail(body);
  console.log(`${req.method} ${req.url} ${body} budget=${req.headers['x-timeout-ms'] ?? '-'} ${status}`);
  res.writeHead(status, { 'Content-Type': 'application/json' });
  res.end(status === 200 ? '{"price_cents": 2500}' : '{}');
}).listen(3000);

function quote() {
  asked += 1;
  return asked % 3 === 0 ? 503 : 200;
}

function mail(body) {
  return body.includes('"poison"') ? 503 : 202;
}

process.on('SIGTERM', () => process.exit(0));
