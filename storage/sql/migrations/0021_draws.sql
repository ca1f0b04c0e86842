-- Draws: units of a SKU for winners among all who have entered (docs/draws.md). A draw is on its SKU's shard.
--
-- Nothing is built or rewritten; the lock is held until the procedures are made anew, for a fraction of a second. Who cannot have it
-- within 2 s fails and is run again: all sales would wait behind it.

SET LOCAL lock_timeout = '2s';

ALTER TABLE tranche.sku
  -- How many draws it has had, on whatever shard: the number of the newest. It stays when draws are removed, so that no number is
  -- used twice.
  ADD COLUMN draws bigint NOT NULL DEFAULT 0;

-- It tells one more column.
DROP FUNCTION IF EXISTS tranche.list_heartbeats();

CREATE TABLE tranche.draw (
  draw_id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  sku_id          text COLLATE "C" NOT NULL,
  number          bigint NOT NULL CHECK (number >= 1),
  -- OPEN: entries are taken. CLOSING: they have ended, and the list is being sealed. CLOSED: it is, and the seed is awaited. SEEDED:
  -- ranks are being computed. DRAWN: all are. FINISHED: nobody else wins. CANCELLED: nobody wins.
  state           text NOT NULL DEFAULT 'OPEN'
    CHECK (state IN ('OPEN', 'CLOSING', 'CLOSED', 'SEEDED', 'DRAWN', 'FINISHED', 'CANCELLED')),
  winners         integer NOT NULL CHECK (winners BETWEEN 1 AND 1000000),
  -- Units for each.
  quantity        integer NOT NULL CHECK (quantity BETWEEN 1 AND 1000),
  -- What says that the operator did not choose the seed by the entries: its hash, or the public value that it will be.
  seed_commitment bytea CHECK (octet_length(seed_commitment) = 32),
  public_source   text CHECK (char_length(public_source) BETWEEN 1 AND 200),
  -- Of the sealed list. NULL before CLOSED.
  entries         bigint,
  merkle_root     bytea CHECK (octet_length(merkle_root) = 32),
  seed            bytea CHECK (octet_length(seed) BETWEEN 16 AND 64),
  -- The last entry that has a rank, while others have none.
  ranked_to       uuid,
  -- The rank of the last award. NULL before the first.
  cutoff          bytea,
  -- How many awards there are, by what became of them; together the place of the last one. Those passed over have lapsed.
  pending         integer NOT NULL DEFAULT 0 CHECK (pending >= 0),
  confirmed       integer NOT NULL DEFAULT 0 CHECK (confirmed >= 0),
  lapsed          integer NOT NULL DEFAULT 0 CHECK (lapsed >= 0),
  -- The place behind which pending awards are looked at next.
  looked_to       bigint NOT NULL DEFAULT 0,
  created_at      timestamptz NOT NULL,
  closed_at       timestamptz,
  seeded_at       timestamptz,
  finished_at     timestamptz,
  -- From then on nobody sees it any more, and its rows wait to be purged.
  removed_at      timestamptz,
  CHECK ((seed_commitment IS NULL) <> (public_source IS NULL)),
  CHECK ((entries IS NULL) = (merkle_root IS NULL)),
  CHECK ((seed IS NULL) = (seeded_at IS NULL)),
  CHECK ((state IN ('FINISHED', 'CANCELLED')) = (finished_at IS NOT NULL)),
  CHECK (removed_at IS NULL OR finished_at IS NOT NULL)
);
CREATE UNIQUE INDEX draw_number ON tranche.draw (sku_id, number) WHERE removed_at IS NULL;
-- At most one of a SKU is not over.
CREATE UNIQUE INDEX draw_running ON tranche.draw (sku_id) WHERE finished_at IS NULL;
CREATE INDEX draw_removed ON tranche.draw (draw_id) WHERE removed_at IS NOT NULL;

-- No foreign keys from here on: they would lock the draw's row once more for each entry.

CREATE TABLE tranche.draw_entry (
  draw_id  bigint NOT NULL,
  -- Random. What is published, and what ranks are computed of.
  entry_id uuid NOT NULL,
  user_id  text COLLATE "C" NOT NULL CHECK (octet_length(user_id) BETWEEN 1 AND 128),
  PRIMARY KEY (draw_id, entry_id),
  CONSTRAINT draw_entry_user UNIQUE (draw_id, user_id)
);

-- How many entries a draw has, in parts: each session counts in one of 64, so that those which enter buyers side by side do not wait
-- for each other. The sum is exact.
CREATE TABLE tranche.draw_tally (
  draw_id bigint NOT NULL,
  part    integer NOT NULL CHECK (part BETWEEN 0 AND 63),
  entries bigint NOT NULL,
  PRIMARY KEY (draw_id, part)
) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200,
        autovacuum_vacuum_cost_delay = 0);

-- The sealed list in pieces of 1,024 entries, in the order of their ids, and the rest: subtrees of the Merkle tree.
CREATE TABLE tranche.draw_chunk (
  draw_id  bigint NOT NULL,
  chunk_no bigint NOT NULL CHECK (chunk_no >= 0),
  first_id uuid NOT NULL,
  last_id  uuid NOT NULL CHECK (last_id >= first_id),
  entries  integer NOT NULL CHECK (entries BETWEEN 1 AND 1024),
  hash     bytea NOT NULL CHECK (octet_length(hash) = 32),
  PRIMARY KEY (draw_id, chunk_no)
);

-- Entries by their ranks.
CREATE TABLE tranche.draw_rank (
  draw_id  bigint NOT NULL,
  rank     bytea NOT NULL CHECK (octet_length(rank) = 32),
  entry_id uuid NOT NULL,
  PRIMARY KEY (draw_id, rank, entry_id)
);

-- Whose turn has come: the lowest ranks, without a gap.
CREATE TABLE tranche.draw_award (
  draw_id        bigint NOT NULL,
  -- From 1, in the order of ranks.
  place          bigint NOT NULL CHECK (place >= 1),
  entry_id       uuid NOT NULL,
  rank           bytea NOT NULL,
  reservation_id uuid,
  outcome        text NOT NULL CHECK (outcome IN ('PENDING', 'CONFIRMED', 'LAPSED', 'PASSED_OVER')),
  awarded_at     timestamptz NOT NULL,
  PRIMARY KEY (draw_id, place),
  CONSTRAINT draw_award_entry UNIQUE (draw_id, entry_id),
  CHECK ((outcome = 'PASSED_OVER') = (reservation_id IS NULL))
);
CREATE INDEX draw_award_pending ON tranche.draw_award (draw_id, place) WHERE outcome = 'PENDING';
