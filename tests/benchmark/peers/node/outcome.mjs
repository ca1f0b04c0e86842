// What became of a claim.
export const Outcome = Object.freeze({
  created: 'created',
  replayed: 'replayed', // this reservation id had been committed before
  soldOut: 'soldOut',
  userLimit: 'userLimit', // the buyer has another reservation of this SKU
  conflict: 'conflict', // given up because others were in the way; nothing was reserved
  noSuchSku: 'noSuchSku',
});
