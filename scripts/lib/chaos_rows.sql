-- Every reservation there is, with what its caller had asked for.
SELECT reservation_id, sku_id, user_id, quantity, amount_minor, state, incarnation_id
FROM tranche.reservation
