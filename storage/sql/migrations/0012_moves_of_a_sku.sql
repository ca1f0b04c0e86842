-- Which of two copies of a SKU is the newer one, when a shard was restored to before a move.
--
-- Nothing is built; the lock is held until the procedures are made anew, for a fraction of a second. Who cannot have it within 2 s
-- fails and is run again: all sales would wait behind it.

SET LOCAL lock_timeout = '2s';

ALTER TABLE tranche.sku
  -- How many moves have brought it to where it is. Of two shards that have it, the one with more has the newer copy. The version
  -- does not say it: that grows in each copy by itself. Moves from before this migration are not counted.
  ADD COLUMN moves         bigint NOT NULL DEFAULT 0,
  -- There is nothing but the id here, noted by reserve_sku.
  ADD COLUMN only_reserved boolean NOT NULL DEFAULT false;

-- As list_whereabouts recognised them until now.
UPDATE tranche.sku SET only_reserved = true
WHERE whereabouts = 'GONE' AND title = '' AND price_minor = 0 AND currency = 'XXX' AND stock = 0;

-- Made anew by procedures/, with columns more. Servers of before read the first ones; what they have prepared is refused once
-- with 0A000, which they repeat.
DROP FUNCTION IF EXISTS tranche.list_whereabouts(text, integer);
DROP FUNCTION IF EXISTS tranche.sku_whereabouts(text);
