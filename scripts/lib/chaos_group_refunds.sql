-- Payments whose refund was asked for: reservation, payment.
SELECT l.reservation_id, l.payment_reference
FROM tranche.late_payment l
WHERE l.outcome = 'PAID_UNFULFILLED'
