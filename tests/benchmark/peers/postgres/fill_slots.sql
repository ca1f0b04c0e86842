-- As evenly as possible: the first slots get what is left over.
INSERT INTO peers.slot (sku_id, slot_no, units_left)
SELECT 'sku-' || number, slot_no, $2::bigint / 16 + CASE WHEN slot_no < $2::bigint % 16 THEN 1 ELSE 0 END
FROM generate_series(0, $1::integer - 1) AS number, generate_series(0, 15) AS slot_no;
