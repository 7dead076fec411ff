// What differs between the stages. Only production takes real money.
export const stages = {
  test: { payments: "a stub", currency: "EUR" },
  production: { payments: "the payment company", currency: "EUR" },
};
