// An edge of the box office, as far as the pipeline needs one: /healthz, /readyz, /api/version and /api/shows.
import { createServer } from "node:http";

import { isSeat } from "./seats.js";
import { stages } from "./stages.js";

const stage = process.env.STAGE ?? "test";

function listShows() {
  const { seats } = stages[stage];
  const show = { id: 7, title: "Hamlet", starts_at: "2027-03-01T19:30:00Z", price_cents: 2500 };
  return [{ ...show, seats, first: isSeat("A1") ? "A1" : null }];
}

const routes = {
  "/healthz": () => ({ status: "ok" }),
  "/readyz": () => ({ status: listShows().length > 0 ? "ok" : "fail" }),
  "/api/version": () => ({ revision: process.env.REVISION ?? "unknown", stage }),
  "/api/shows": () => ({ shows: listShows() }),
};

const server = createServer((request, response) => {
  const answer = (status, body) => {
    response.writeHead(status, { "Content-Type": "application/json" });
    response.end(JSON.stringify(body));
  };
  const route = routes[request.url];
  if (!route || request.method !== "GET") {
    answer(404, { error: "not_found" });
    return;
  }
  try {
    answer(200, route());
  } catch (error) {
    process.stderr.write(`${error.stack}\n`);
    answer(503, { error: "internal" });
  }
});

server.listen(Number(process.env.PORT ?? 3000), () => {
  process.stdout.write(`Server running on port ${server.address().port}\n`);
});
process.on("SIGTERM", () => server.close());
