// Who is logged in.
import { randomUUID } from 'node:crypto';

const users = new Map();

export async function openSession(user) {
  const token = randomUUID();
  users.set(token, user);
  return token;
}

export async function userOf(token) {
  return users.get(token);
}
