-- What the quota plane needs: freeze, drain, the audit of both, and a list of waiting pools that costs what it returns.

-- Running servers lock incarnations before SKUs; so do we, at once, rather than close a cycle with them half-way. Sales
-- pause for as long as this takes: the time to write one row per SKU. Who cannot have the locks soon fails and is run again.
SET LOCAL lock_timeout = '10s';
LOCK TABLE tranche.incarnation, tranche.sku IN ACCESS EXCLUSIVE MODE;

ALTER TABLE tranche.sku
  -- Split over the live nodes before anybody asks; otherwise its units wait in the pool until a node makes demand.
  ADD COLUMN presplit     boolean NOT NULL DEFAULT true,
  -- The balancer leaves its units where they are.
  ADD COLUMN quota_frozen boolean NOT NULL DEFAULT false,
  -- The pool slot has units left. Whatever changes the pool keeps it exact, under the lock of this row: an index on
  -- stock_slot.remaining would say the same, and end the HOT updates of the hot rows.
  ADD COLUMN pool_waiting boolean NOT NULL DEFAULT false;
UPDATE tranche.sku s SET pool_waiting = true
FROM tranche.stock_slot sl WHERE sl.sku_id = s.sku_id AND sl.slot_no = 0 AND sl.remaining > 0;
ALTER TABLE tranche.sku ALTER COLUMN pool_waiting DROP DEFAULT;
CREATE INDEX sku_pool_waiting ON tranche.sku (sku_id)
  WHERE presplit AND state = 'OPEN' AND NOT quota_frozen AND pool_waiting;

-- An operator asked it to hand back its units and to get no more.
ALTER TABLE tranche.incarnation ADD COLUMN draining boolean NOT NULL DEFAULT false;

-- NULL for what concerns no single SKU, or no single node.
ALTER TABLE tranche.audit_log ALTER COLUMN sku_id DROP NOT NULL;
ALTER TABLE tranche.audit_log ADD COLUMN incarnation_id bigint;

-- A SKU as the servers know it, with what is unsold. `holds_may_lapse` looks no further than the first unpaid hold it
-- meets; OFFSET 0 keeps the planner from hashing every reservation there is instead.
CREATE VIEW tranche.sku_state AS
SELECT s.sku_id, s.title, s.price_minor, s.currency, s.stock, s.per_user_limit, s.hold_seconds,
       CASE WHEN isfinite(s.opens_at) THEN (extract(epoch FROM s.opens_at) * 1000000)::bigint END AS opens_us,
       CASE WHEN isfinite(s.closes_at) THEN (extract(epoch FROM s.closes_at) * 1000000)::bigint END AS closes_us,
       s.state = 'CLOSED' AS closed, s.slots_per_slice,
       (SELECT sum(sl.remaining) FROM tranche.stock_slot sl WHERE sl.sku_id = s.sku_id)::bigint AS unsold,
       s.quota_version,
       EXISTS (SELECT FROM tranche.reservation r WHERE r.sku_id = s.sku_id AND r.state = 'PENDING' OFFSET 0)
         AS holds_may_lapse,
       s.presplit, s.quota_frozen
FROM tranche.sku s;

-- Functions whose parameters or columns change; procedures/ makes them anew. New parameters come last and have defaults,
-- and new columns come last, so that a server of before understands the answers.
DROP FUNCTION IF EXISTS tranche.create_sku(text, text, bigint, text, bigint, integer, integer, bigint, bigint, integer,
                                           text);
DROP FUNCTION IF EXISTS tranche.add_stock(text, bigint, text);
DROP FUNCTION IF EXISTS tranche.reduce_stock(text, bigint, text);
DROP FUNCTION IF EXISTS tranche.register_incarnation(text, text);
DROP FUNCTION IF EXISTS tranche.list_live_incarnations();
DROP FUNCTION IF EXISTS tranche.list_skus(text, integer, text);
