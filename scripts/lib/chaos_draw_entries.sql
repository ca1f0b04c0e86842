-- Every entry of the draw, and the reservation that it was given: user, id, '' or the reservation's id.
SELECT e.user_id, e.entry_id, coalesce(a.reservation_id::text, '')
FROM tranche.draw_entry e
LEFT JOIN tranche.draw_award a ON a.draw_id = e.draw_id AND a.entry_id = e.entry_id
