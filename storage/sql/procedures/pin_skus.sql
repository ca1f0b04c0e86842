-- Keeps the SKUs on this shard until the transaction ends: a move of one of them to another shard waits. p_exclusive:
-- the move's side; it waits for everybody who has pinned it, and everybody who comes later waits for the move.
--
-- The lock is per bucket of SKUs, in the keyspace of two integers, which only pin_draws uses besides; SKUs that share a
-- bucket only wait a little more. A procedure that changes a reservation pins its SKU before anything else is locked, and then
-- reads in another statement where the SKU is. Buckets are locked ascending, so there is no cycle among them; and
-- whoever waits for one holds nothing but pins, so no other cycle goes through them.
CREATE OR REPLACE FUNCTION tranche.pin_skus(p_skus text[], p_exclusive boolean DEFAULT false)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
DECLARE
  -- Distinguishes these locks from other uses of the keyspace.
  c_class  constant integer := 1414418243;
  v_bucket integer;
BEGIN
  FOR v_bucket IN SELECT DISTINCT hashtext(s) & 1023 AS bucket FROM unnest(p_skus) AS s ORDER BY bucket LOOP
    IF p_exclusive THEN
      PERFORM pg_advisory_xact_lock(c_class, v_bucket);
    ELSE
      PERFORM pg_advisory_xact_lock_shared(c_class, v_bucket);
    END IF;
  END LOOP;
END
$$;
