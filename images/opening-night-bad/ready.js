export function leave() {}

// The mistake: somebody wanted to look at this later.
export async function isReady() {
  return false;
}
