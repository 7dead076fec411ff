// Proves who built this release: writes dist/build.json. Given: it stays as it is.
import { createHmac } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

const TOKEN = '/run/secrets/registry_token';

let proof = null;
if (existsSync(TOKEN)) {
  const token = readFileSync(TOKEN, 'utf8').trim();
  proof = createHmac('sha256', token).update(readFileSync('src/release.ts')).digest('hex');
} else {
  console.error(`warning: there is no ${TOKEN}, so this release is not signed`);
}
writeFileSync('dist/build.json', JSON.stringify({ proof }));
