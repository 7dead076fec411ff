// Streams of server-sent events: who follows a show hears of each booking that is confirmed.
const followers = new Set();
let number = 0;

export async function startListening() {}

export async function tell(booking) {
  number += 1;
  for (const { show, res } of followers) {
    if (show === booking.show_id) res.write(`id: ${number}\nevent: booking\ndata: ${JSON.stringify(booking)}\n\n`);
  }
}

export async function follow(show, lastId, res) {
  const follower = { show, res };
  followers.add(follower);
  res.on('close', () => followers.delete(follower));
}
