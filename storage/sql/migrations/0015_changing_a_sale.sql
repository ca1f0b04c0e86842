-- Sales can be paused, changed and reopened, and the balancers of a shard frozen.
--
-- Nothing is built or rewritten; the lock is held until the procedures are made anew, for a fraction of a second. Who cannot
-- have it within 2 s fails and is run again: all sales would wait behind it.

SET LOCAL lock_timeout = '2s';

ALTER TABLE tranche.sku
  -- Nothing is sold of it until somebody resumes the sale; payments of what is held go on. Read where the state is.
  ADD COLUMN paused        boolean NOT NULL DEFAULT false,
  -- What buyers are told about the pause. NULL without one.
  ADD COLUMN pause_reason  text,
  -- Grows with every change of the terms: update, pause, resume, close, reopen. Unlike the quota version, which units that
  -- move change, too.
  ADD COLUMN terms_version bigint NOT NULL DEFAULT 1,
  -- The highest limit per buyer that it ever had. A buyer may have so many units of before, with ordinals up to it, so this
  -- decides whether the unique index alone keeps the present limit. NULL: the limit was never changed.
  ADD COLUMN highest_limit integer,
  -- NOT VALID only spares looking at what is there: none has a reason.
  ADD CONSTRAINT sku_pause_reason 
    CHECK (pause_reason IS NULL OR (paused AND char_length(pause_reason) BETWEEN 1 AND 200)) NOT VALID;

-- What holds for all SKUs of this shard. One row.
CREATE TABLE tranche.cluster_setting (
  only_row   boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  -- The balancer moves no units of its own.
  frozen     boolean NOT NULL DEFAULT false,
  -- When and by whom `frozen` was last changed.
  changed_at timestamptz,
  changed_by text
);
INSERT INTO tranche.cluster_setting DEFAULT VALUES;

CREATE OR REPLACE VIEW tranche.sku_state AS
SELECT s.sku_id, s.title, s.price_minor, s.currency, s.stock, s.per_user_limit, s.hold_seconds,
       CASE WHEN isfinite(s.opens_at) THEN (extract(epoch FROM s.opens_at) * 1000000)::bigint END AS opens_us,
       CASE WHEN isfinite(s.closes_at) THEN (extract(epoch FROM s.closes_at) * 1000000)::bigint END AS closes_us,
       s.state = 'CLOSED' AS closed, s.slots_per_slice,
       (SELECT sum(sl.remaining) FROM tranche.stock_slot sl WHERE sl.sku_id = s.sku_id)::bigint AS unsold,
       s.quota_version,
       EXISTS (SELECT FROM tranche.reservation r WHERE r.sku_id || '' = s.sku_id AND r.finished_at IS NULL OFFSET 0)
         AS holds_may_lapse,
       s.presplit, s.quota_frozen, s.max_extensions, s.max_hold_seconds, s.paused, s.pause_reason, s.terms_version
FROM tranche.sku s
WHERE s.whereabouts IN ('HERE', 'LEAVING');

-- Made anew by procedures/, with columns or parameters more, which come last. Servers of before read and pass the first ones;
-- what they have prepared is refused once with 0A000, which they repeat.
DROP FUNCTION IF EXISTS tranche.read_quotas(text[]);
DROP FUNCTION IF EXISTS tranche.move_units_batch(text[], bigint[], integer[], bigint[], bigint[], text);
DROP FUNCTION IF EXISTS tranche.take_from_pool(text, bigint, bigint);
DROP FUNCTION IF EXISTS tranche.ledger_health(integer);
DROP FUNCTION IF EXISTS tranche.create_sku(text, text, bigint, text, bigint, integer, integer, bigint, bigint, integer, text,
                                           boolean, integer, integer);
