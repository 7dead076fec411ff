// Rows A to F, numbers 1 to 10.
const SEAT = /^[A-F](10|[1-9])$/;

export function isSeat(name) {
  return SEAT.test(name);
}
