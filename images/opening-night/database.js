import pg from 'pg';
import { gauge } from './metrics.js';

const size = Number(process.env.DB_POOL_SIZE ?? 10);

export const pool = new pg.Pool({
  connectionString: process.env.DATABASE_URL,
  max: size,
  connectionTimeoutMillis: 5000,
});
// An idle connection that breaks is replaced by the pool; without a listener it would end us.
pool.on('error', () => {});

gauge('db_pool_size', 'Connections the pool may open.', () => size);
gauge('db_pool_in_use', 'Connections that work right now.', () => pool.totalCount - pool.idleCount);
gauge('db_pool_waiting', 'Callers that wait for a connection.', () => pool.waitingCount);

// Calls work(client) in a transaction: all that it writes is kept, or nothing.
export async function inTransaction(work) {
  const client = await pool.connect();
  client.on('error', ignore);
  let broken;
  try {
    await client.query('BEGIN');
    const result = await work(client);
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch((cause) => { broken = cause; });
    throw error;
  } finally {
    client.off('error', ignore);
    // A connection that cannot even roll back is thrown away.
    client.release(broken);
  }
}

function ignore() {}
