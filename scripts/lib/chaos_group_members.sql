-- Every reservation that was made for a group, whether or not it is still its buyer's membership: reservation, group, buyer, quantity, state,
-- payment ('' unless CONFIRMED), the payment that has its seat (''), and the group's state, seats, seats that are taken, and whether it was
-- filled in part.
SELECT r.reservation_id, r.group_id, r.user_id, r.quantity, r.state, coalesce(r.payment_reference, ''),
       coalesce(m.payment_reference, ''), coalesce(g.state, ''), coalesce(g.seats, 0), coalesce(g.seats_taken, 0),
       coalesce(g.partial, false)::integer
FROM tranche.reservation r
LEFT JOIN tranche.group_buy g ON g.group_id = r.group_id
LEFT JOIN tranche.group_member m ON m.group_id = r.group_id AND m.reservation_id = r.reservation_id
WHERE r.group_id IS NOT NULL
