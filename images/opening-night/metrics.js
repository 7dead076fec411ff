import { createServer } from 'node:http';
import { monitorEventLoopDelay } from 'node:perf_hooks';

const BUCKETS = [0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1, 2.5, 5];
const families = [];

// Each family knows how to write its lines in Prometheus' text format.
function family(name, help, type, lines) {
  families.push(async () => [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...await lines()]);
}

const named = (labels) => Object.entries(labels).map(([name, value]) => `${name}="${value}"`).join(',');

export function gauge(name, help, read) {
  family(name, help, 'gauge', async () => [`${name} ${await read()}`]);
}

export function counter(name, help) {
  const counts = new Map();
  family(name, help, 'counter', () => [...counts].map(([labels, count]) => `${name}{${labels}} ${count}`));
  return (labels) => counts.set(named(labels), (counts.get(named(labels)) ?? 0) + 1);
}

export function histogram(name, help) {
  const series = new Map();
  family(name, help, 'histogram', () => [...series].flatMap(([labels, { sum, counts }]) => [
    ...BUCKETS.map((le, i) => `${name}_bucket{${labels},le="${le}"} ${counts[i]}`),
    `${name}_bucket{${labels},le="+Inf"} ${counts.at(-1)}`,
    `${name}_sum{${labels}} ${sum}`,
    `${name}_count{${labels}} ${counts.at(-1)}`,
  ]));
  return (labels, seconds) => {
    const key = named(labels);
    const one = series.get(key) ?? { sum: 0, counts: Array(BUCKETS.length + 1).fill(0) };
    one.sum += seconds;
    [...BUCKETS, Infinity].forEach((le, i) => { if (seconds <= le) one.counts[i] += 1; });
    series.set(key, one);
  };
}

const delay = monitorEventLoopDelay({ resolution: 20 });
delay.enable();
gauge('event_loop_lag_seconds', 'The longest the event loop was late since the last look.', () => {
  const seconds = Math.max(0, delay.max / 1e9 - 0.02);
  delay.reset();
  return seconds;
});

// Metrics and probes, at a port that guests don't reach.
export function serveMetrics(isReady) {
  const server = createServer(async (req, res) => {
    if (req.url === '/metrics') {
      const written = await Promise.all(families.map((write) => write()));
      res.writeHead(200, { 'Content-Type': 'text/plain; version=0.0.4' }).end(`${written.flat().join('\n')}\n`);
    } else if (req.url === '/healthz') res.writeHead(200).end();
    else if (req.url === '/readyz') res.writeHead(await isReady() ? 200 : 503).end();
    else res.writeHead(404).end();
  });
  return server.listen(Number(process.env.METRICS_PORT ?? 9100));
}
