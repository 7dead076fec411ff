// Asks the server for its health; Docker ends this program when the answer takes too long.
const url = `http://127.0.0.1:${process.env.PORT ?? 3000}/api/health`;
fetch(url).then((reply) => process.exit(reply.ok ? 0 : 1), () => process.exit(1));
