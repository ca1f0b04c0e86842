-- Every reservation, with its caller's request and its present state.
SELECT reservation_id, sku_id, user_id, quantity, amount_minor, state, incarnation_id,
       coalesce(payment_reference, ''), extensions
FROM tranche.reservation
