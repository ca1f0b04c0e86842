-- Every reservation of the SKU whose claims are queued, also those that say that a claim was refused.
SELECT reservation_id, user_id, quantity, state, coalesce(cancel_reason, '')
FROM tranche.reservation WHERE sku_id = 'poster'
