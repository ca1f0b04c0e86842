-- Opens the SKUs number :first to :last of :name, each with :units units in slices of :slots slots. Their units go to
-- :incarnation, or, if that is 0, wait in the pools until a node asks for them. A single one, number 0, has the name
-- itself; the names of others are as SkuOfMany makes them.
CREATE PROCEDURE pg_temp.open_skus(p_name text, p_first integer, p_last integer, p_units bigint, p_slots integer,
                                   p_incarnation bigint)
LANGUAGE plpgsql AS $$
DECLARE
  v_sku text;
BEGIN
  FOR i IN p_first .. p_last LOOP
    v_sku := CASE WHEN p_last = 0 THEN p_name ELSE p_name || '-' || lpad(i::text, 6, '0') END;
    IF NOT tranche.create_sku(v_sku, 'A thing', 100, 'EUR', p_units, 1, 86400, NULL, NULL, p_slots, 'benchmark',
                              p_presplit => p_incarnation > 0) THEN
      RAISE EXCEPTION 'there is a SKU %', v_sku;
    END IF;
    IF p_incarnation > 0 THEN
      PERFORM tranche.move_units(v_sku, ARRAY[p_incarnation], ARRAY[p_units], NULL, '');
    END IF;
    IF i % 500 = 499 THEN
      COMMIT;
    END IF;
  END LOOP;
END
$$;
CALL pg_temp.open_skus(:'name', :first, :last, :units, :slots, :incarnation);
VACUUM ANALYZE tranche.sku, tranche.stock_slot;
CHECKPOINT;
