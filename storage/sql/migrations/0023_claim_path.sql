-- Claims can be queued: each SKU says which way its claims come (docs/decisions/0021-queue.md).
--
-- Nothing is built or rewritten; the lock is held until the procedures are made anew, for a fraction of a second. Who cannot
-- have it within 2 s fails and is run again: all sales would wait behind it.

SET LOCAL lock_timeout = '2s';

ALTER TABLE tranche.sku
  -- DIRECT: decided while the caller waits. QUEUE: queued. AUTO: queued while the ledger is slow or away. No procedure looks
  -- at it: nodes do.
  ADD COLUMN claim_path text NOT NULL DEFAULT 'DIRECT',
  -- NOT VALID only spares looking at what is there: all of it is DIRECT.
  ADD CONSTRAINT sku_claim_path CHECK (claim_path IN ('DIRECT', 'QUEUE', 'AUTO')) NOT VALID;

CREATE OR REPLACE VIEW tranche.sku_state AS
SELECT s.sku_id, s.title, s.price_minor, s.currency, s.stock, s.per_user_limit, s.hold_seconds,
       CASE WHEN isfinite(s.opens_at) THEN (extract(epoch FROM s.opens_at) * 1000000)::bigint END AS opens_us,
       CASE WHEN isfinite(s.closes_at) THEN (extract(epoch FROM s.closes_at) * 1000000)::bigint END AS closes_us,
       s.state = 'CLOSED' AS closed, s.slots_per_slice,
       (SELECT sum(sl.remaining) FROM tranche.stock_slot sl WHERE sl.sku_id = s.sku_id)::bigint AS unsold,
       s.quota_version,
       EXISTS (SELECT FROM tranche.reservation r WHERE r.sku_id || '' = s.sku_id AND r.finished_at IS NULL OFFSET 0)
         AS holds_may_lapse,
       s.presplit, s.quota_frozen, s.max_extensions, s.max_hold_seconds, s.paused, s.pause_reason, s.terms_version,
       s.claim_path
FROM tranche.sku s
WHERE s.whereabouts IN ('HERE', 'LEAVING');

-- Made anew by procedures/, with a column or a parameter more, which comes last. Servers of before read and pass the first
-- ones; what they have prepared is refused once with 0A000, which they repeat.
DROP FUNCTION IF EXISTS tranche.read_quotas(text[]);
DROP FUNCTION IF EXISTS tranche.move_units_batch(text[], bigint[], integer[], bigint[], bigint[], text);
DROP FUNCTION IF EXISTS tranche.take_from_pool(text, bigint, bigint);
DROP FUNCTION IF EXISTS tranche.create_sku(text, text, bigint, text, bigint, integer, integer, bigint, bigint, integer, text,
                                           boolean, integer, integer, boolean, text);
DROP FUNCTION IF EXISTS tranche.update_sku(text, bigint, text, bigint, integer, integer, integer, integer, bigint, bigint,
                                           boolean, text);
