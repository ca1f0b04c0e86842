-- A buyer's list without a look into every SKU (procedures/next_sku_of_buyer.sql).
--
-- The index has no holds: creating a reservation does not touch it, and each change that ends one adds an entry. An index of
-- all reservations would cost every claim.
--
-- Sales pause while it is built, about 1 s per million reservations that are not PENDING. Who has many builds it before, as
-- the owner, while everything runs:
--   CREATE INDEX CONCURRENTLY reservation_finished_buyer ON tranche.reservation (user_id, sku_id)
--     WHERE finished_at IS NOT NULL;
-- Who cannot have the lock within 2 s fails and is run again: all sales would wait behind it.

SET LOCAL lock_timeout = '2s';

DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass('tranche.reservation_finished_buyer') AND NOT indisvalid) THEN
    RAISE EXCEPTION 'the index tranche.reservation_finished_buyer is not complete'
      USING HINT = 'Wait until CREATE INDEX CONCURRENTLY has ended. If it has failed, drop the index.';
  END IF;
  -- Not IF NOT EXISTS: that locks the table before it looks.
  IF to_regclass('tranche.reservation_finished_buyer') IS NULL THEN
    CREATE INDEX reservation_finished_buyer ON tranche.reservation (user_id, sku_id) WHERE finished_at IS NOT NULL;
  END IF;
END
$$;
