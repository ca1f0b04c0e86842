-- A draw as the servers know it, and the row in which procedures answer about one. It is named so that it runs before the procedures
-- that return this row. A new field comes last in draw_fields, and so last in draw_told. In draw_entry_told it comes before the entry,
-- so its migration drops that view, with find_draw_entry, which answers with it.
--
-- `outcome`: DONE, or why there is nothing else in the row:
--   SKU_NOT_FOUND  the SKU is not on this shard
--   NO_DRAW        it has no such draw
--   STATE          with the draw whose state forbids it; without one if it is not about one
--   SEED           the seed is not the one that the draw is committed to
--
-- Times are microseconds since the Unix epoch, bytes are hexadecimal.
CREATE OR REPLACE VIEW tranche.draw_fields AS
SELECT d.draw_id, d.sku_id, d.number, d.state, d.winners, d.quantity,
       encode(d.seed_commitment, 'hex') AS seed_commitment, d.public_source,
       d.entries, encode(d.merkle_root, 'hex') AS merkle_root, encode(d.seed, 'hex') AS seed, encode(d.cutoff, 'hex') AS cutoff,
       d.pending, d.confirmed, d.lapsed,
       (extract(epoch FROM d.created_at) * 1000000)::bigint AS created_us,
       (extract(epoch FROM d.closed_at) * 1000000)::bigint AS closed_us,
       (extract(epoch FROM d.seeded_at) * 1000000)::bigint AS seeded_us,
       (extract(epoch FROM d.finished_at) * 1000000)::bigint AS finished_us
FROM tranche.draw d;

-- Has no rows: it only defines the row.
CREATE OR REPLACE VIEW tranche.draw_told AS
SELECT NULL::text AS outcome, d.* FROM tranche.draw_fields d WHERE false;

-- Likewise, of a buyer's entry and its award, if it has one. NO_ENTRY: the draw is there, and the entry is not.
CREATE OR REPLACE VIEW tranche.draw_entry_told AS
SELECT NULL::text AS outcome, d.*, NULL::uuid AS entry_id, NULL::bigint AS place, NULL::text AS rank, NULL::uuid AS reservation_id,
       NULL::text AS award, NULL::bigint AS awarded_us
FROM tranche.draw_fields d WHERE false;
