-- Every reservation there is, with what its caller had asked for and what has become of it.
SELECT reservation_id, sku_id, user_id, quantity, amount_minor, state, incarnation_id,
       coalesce(payment_reference, ''), extensions
FROM tranche.reservation
