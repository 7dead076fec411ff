import { pool } from './database.js';

let leaving = false;

export function leave() {
  leaving = true;
}

// Tells whether we should get work: not while the database is away, and not once we've been told to stop.
export async function isReady() {
  if (leaving) return false;
  try {
    await Promise.race([pool.query('SELECT 1'), new Promise((_, reject) => setTimeout(reject, 1000))]);
    return true;
  } catch {
    return false;
  }
}
