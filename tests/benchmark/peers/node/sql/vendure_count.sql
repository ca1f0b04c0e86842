-- Sold is what buyers were told that they have, whatever Vendure has allocated for it.
WITH sold AS (
  SELECT o.id, o."customFieldsClaim"::text AS claim FROM "order" AS o WHERE o.state = 'ArrangingPayment'
)
SELECT
  (SELECT coalesce(sum("stockOnHand" - "stockAllocated"), 0) FROM stock_level) AS units_left,
  (SELECT coalesce(sum(line.quantity), 0) FROM order_line AS line JOIN sold ON sold.id = line."orderId") AS units_sold,
  (SELECT coalesce(array_agg(claim), '{}') FROM sold) AS order_ids;
