// GraphQL without a framework and without DataLoader: each request has tables of promises, and a
// question waits two milliseconds for others of its kind.
import http from 'node:http';
import {
  GraphQLError, GraphQLInt, GraphQLList, GraphQLNonNull, GraphQLObjectType, GraphQLSchema,
  GraphQLString, GraphQLID, GraphQLUnionType, execute, parse, validate,
} from 'graphql';
import pg from 'pg';

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 4 });

// answer(keys) returns [key, value] pairs; what has no pair is `absent`.
function waiting(answer, absent) {
  const promises = new Map();
  let keys = [];
  let round = null;
  const turn = () => new Promise((resolve) => { setTimeout(resolve, 2); });
  return (key) => {
    if (!promises.has(key)) {
      keys.push(key);
      round ??= turn().then(() => {
        const asked = keys;
        [keys, round] = [[], null];
        return answer(asked).then((pairs) => new Map(pairs));
      });
      promises.set(key, round.then((found) => found.get(key) ?? absent));
    }
    return promises.get(key);
  };
}

class Asked {
  constructor(headers) {
    this.user = headers['x-user'];
    this.reads = (name) => headers['x-role'] === 'staff' || name === this.user;
    this.forget();
  }

  forget() {
    const rows = (sql, keys) => pool.query(sql, [keys]).then((result) => result.rows);
    this.show = waiting(async (ids) => (await rows(
      'SELECT * FROM shows WHERE id::text = ANY($1)', ids)).map((s) => [String(s.id), s]), null);
    this.user_ = waiting(async (names) => (await rows(
      'SELECT * FROM users WHERE name = ANY($1)', names)).map((u) => [u.name, u]), null);
    // Bookings and their number come from one statement.
    this.bookings = waiting(async (ids) => (await rows(
      `SELECT show_id, json_agg(json_build_object('id', id, 'seat', seat, 'show_id', show_id, 'user', user_name)
       ORDER BY id) AS all FROM bookings WHERE show_id = ANY($1) GROUP BY show_id`, ids,
    )).map((row) => [row.show_id, row.all]), []);
  }
}

const required = (type) => new GraphQLNonNull(type);
const every = (type) => required(new GraphQLList(required(type)));
const text = { type: required(GraphQLString) };

const User = new GraphQLObjectType({
  name: 'User',
  fields: {
    name: text,
    email: {
      type: GraphQLString,
      resolve: (user, _, asked) => {
        if (asked.reads(user.name)) return user.email;
        throw new GraphQLError('forbidden', { extensions: { code: 'FORBIDDEN' } });
      },
    },
  },
});
const Booking = new GraphQLObjectType({
  name: 'Booking',
  fields: () => ({
    id: { type: required(GraphQLID) },
    seat: text,
    show: { type: required(Show), resolve: (booking, _, asked) => asked.show(String(booking.show_id)) },
    user: { type: required(User), resolve: (booking, _, asked) => asked.user_(booking.user) },
  }),
});
const Show = new GraphQLObjectType({
  name: 'Show',
  fields: {
    id: { type: required(GraphQLID) },
    title: text,
    startsAt: { ...text, resolve: (show) => show.starts_at.toISOString().replace('.000Z', 'Z') },
    priceCents: { type: required(GraphQLInt), resolve: (show) => show.price_cents },
    seatsFree: {
      type: required(GraphQLInt),
      resolve: async (show, _, asked) => 60 - (await asked.bookings(show.id)).length,
    },
    bookings: { type: every(Booking), resolve: (show, _, asked) => asked.bookings(show.id) },
  },
});
const ShowPage = new GraphQLObjectType({
  name: 'ShowPage', fields: { nodes: { type: every(Show) }, next: { type: GraphQLString } },
});
const SeatTaken = new GraphQLObjectType({ name: 'SeatTaken', fields: { seat: text } });
const UnknownShow = new GraphQLObjectType({
  name: 'UnknownShow', fields: { showId: { type: required(GraphQLID) } },
});
const Outcome = new GraphQLUnionType({
  name: 'Outcome', types: [Booking, SeatTaken, UnknownShow], resolveType: (value) => value.is,
});

const schema = new GraphQLSchema({
  query: new GraphQLObjectType({
    name: 'Query',
    fields: {
      show: { type: Show, args: { id: { type: required(GraphQLID) } }, resolve: (_, { id }, asked) => asked.show(id) },
      shows: {
        type: required(ShowPage),
        args: { first: { type: GraphQLInt }, after: { type: GraphQLString } },
        async resolve(_, { first, after }) {
          const size = first ?? 20;
          const last = after ? Number(Buffer.from(after, 'base64url')) : 0;
          const { rows } = await pool.query(
            'SELECT *, max(id) OVER () AS last_id FROM shows WHERE id > $1 ORDER BY id LIMIT $2', [last, size]);
          const end = rows.at(-1);
          const next = end && end.id < end.last_id ? Buffer.from(String(end.id)).toString('base64url') : null;
          return { nodes: rows, next };
        },
      },
      me: { type: User, resolve: (_, args, asked) => (asked.user ? asked.user_(asked.user) : null) },
    },
  }),
  mutation: new GraphQLObjectType({
    name: 'Mutation',
    fields: {
      book: {
        type: Outcome,
        args: { showId: { type: required(GraphQLID) }, seat: text },
        async resolve(_, { showId, seat }, asked) {
          if (!asked.user) throw new GraphQLError('strangers buy at the door');
          try {
            const { rows: [booking] } = await pool.query(
              `INSERT INTO bookings (show_id, seat, user_name) VALUES ($1, $2, $3)
               RETURNING id, seat, show_id, user_name AS user`, [showId, seat, asked.user]);
            return { is: 'Booking', ...booking };
          } catch (error) {
            if (error.code === '23505') return { is: 'SeatTaken', seat };
            if (error.code === '23503') return { is: 'UnknownShow', showId };
            throw error;
          } finally {
            asked.forget();
          }
        },
      },
    },
  }),
});

// What an operation costs; it stops at the first field too many, so nothing can make it walk long.
function tooMuch(document, operationName) {
  const named = Object.fromEntries(document.definitions.map((d) => [`${d.kind} ${d.name?.value}`, d]));
  const operations = document.definitions.filter((d) => d.kind === 'OperationDefinition');
  const operation = operationName ? named[`OperationDefinition ${operationName}`] : operations[0];
  let steps = 0;
  let fields = 0;
  function walk(node, depth) {
    // More spreads than this, without a field too many, only walk in circles or lead nowhere.
    if ((steps += 1) > 5000) throw new GraphQLError('too many spreads');
    for (const selection of node?.selectionSet?.selections ?? []) {
      // It costs nothing: the schema knows it.
      if (selection.kind === 'Field' && selection.name.value === '__typename') continue;
      if (selection.kind === 'Field') {
        if ((fields += 1) > 200 || depth >= 10) throw new GraphQLError('too much at once');
        walk(selection, depth + 1);
      } else {
        walk(selection.kind === 'InlineFragment' ? selection : named[`FragmentDefinition ${selection.name.value}`], depth);
      }
    }
  }
  walk(operation, 0);
}

async function answer({ query, variables, operationName }, headers) {
  try {
    const document = parse(String(query));
    tooMuch(document, operationName);
    const errors = validate(schema, document);
    if (errors.length) return { errors };
    return await execute({
      schema, document, operationName, variableValues: variables, contextValue: new Asked(headers),
    });
  } catch (error) {
    return { errors: [{ message: error.message }] };
  }
}

http.createServer(async (req, res) => {
  const chunks = [];
  for await (const chunk of req) chunks.push(chunk);
  const found = req.url === '/graphql' && req.method === 'POST';
  const reply = found ? await answer(JSON.parse(Buffer.concat(chunks)), req.headers) : { errors: [{ message: 'no' }] };
  res.writeHead(found ? 200 : 404, { 'content-type': 'application/json; charset=utf-8' });
  res.end(JSON.stringify(reply));
}).listen(process.env.PORT || 3000);
process.on('SIGTERM', () => process.exit(0));
