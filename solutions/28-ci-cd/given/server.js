// The shop: GET /healthz, /api/version and /api/shows.
import { createServer } from "node:http";

import { priceOf } from "./seats.js";
import { stages } from "./stages.js";

const stage = process.env.STAGE ?? "test";
const port = Number(process.env.PORT ?? 3000);

function listShows() {
  const { currency } = stages[stage];
  const show = { id: 7, title: "Hamlet", starts_at: "2027-03-01T19:30:00Z", price_cents: 2500 };
  return [{ ...show, currency, first_row_cents: priceOf("A1", show.price_cents) }];
}

const routes = {
  "/healthz": () => ({ status: "ok" }),
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
    answer(500, { error: "internal" });
  }
});

server.listen(port, () => {
  process.stdout.write(`Server running on port ${server.address().port}\n`);
});
process.on("SIGTERM", () => server.close());
