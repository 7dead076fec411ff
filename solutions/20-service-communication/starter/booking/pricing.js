const { PRICING_URL } = process.env;

// It works as long as the pricing service does.
export async function priceOf(showId, seat) {
  const query = new URLSearchParams({ show_id: showId, seat });
  const reply = await fetch(`${PRICING_URL}/quote?${query}`);
  const { price_cents } = await reply.json();
  return price_cents;
}
