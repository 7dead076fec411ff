import { pool } from './database.js';

let leaving = false;

export function leave() {
  leaving = true;
}

// Whether we should get work: not while the database is away, nor once we are told to stop.
export async function isReady() {
  if (leaving) return false;
  try {
    await Promise.race([pool.query('SELECT 1'), new Promise((_, reject) => setTimeout(reject, 1000))]);
    return true;
  } catch {
    return false;
  }
}
