-- Draws: SKU, state, how many have entered, and how many reservations of winners wait for payment.
SELECT d.sku_id, d.state, coalesce(sum(t.entries), 0), d.pending
FROM tranche.draw d LEFT JOIN tranche.draw_tally t ON t.draw_id = d.draw_id
GROUP BY d.draw_id;
