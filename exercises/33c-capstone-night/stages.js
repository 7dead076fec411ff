// What differs between the stages. Only production takes real money.
export const stages = {
  test: { payments: "a stub", seats: 60 },
  production: { payments: "the payment company", seats: 60 },
};
