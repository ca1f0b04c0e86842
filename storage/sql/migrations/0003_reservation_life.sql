-- What a reservation's whole life needs: payment, cancellation, extension, expiry, the outbox, retention, and moving a SKU
-- to another shard.

SET LOCAL lock_timeout = '10s';
LOCK TABLE tranche.incarnation, tranche.sku, tranche.reservation IN ACCESS EXCLUSIVE MODE;

ALTER TABLE tranche.sku
  -- How often a hold may be extended, and how long it may last in all, from its creation. NULL: hold_seconds for the hold
  -- itself and each extension.
  ADD COLUMN max_extensions   integer NOT NULL DEFAULT 3 CHECK (max_extensions BETWEEN 0 AND 100),
  ADD COLUMN max_hold_seconds integer CHECK (max_hold_seconds BETWEEN hold_seconds AND 2592000),
  -- Units came back into a pool that was empty: perhaps the SKU was announced as sold out. Set in the transaction that
  -- returns them, cleared by the balancer once it has announced the SKU again.
  ADD COLUMN units_returned   boolean NOT NULL DEFAULT false,
  -- Where the SKU is. HERE: on this shard. LEAVING: still here, but nothing changes while it is copied to other_shard.
  -- GONE: other_shard has it; this row only says so. ARRIVING: being copied from other_shard, and not here yet.
  ADD COLUMN whereabouts      text NOT NULL DEFAULT 'HERE' CHECK (whereabouts IN ('HERE', 'LEAVING', 'GONE', 'ARRIVING')),
  ADD COLUMN other_shard      text CHECK ((whereabouts = 'HERE') = (other_shard IS NULL)),
  -- One attempt to move it: what an abandoned attempt still tries fails.
  ADD COLUMN move_token       uuid;
CREATE INDEX sku_units_returned ON tranche.sku (sku_id) WHERE units_returned;
DROP INDEX tranche.sku_pool_waiting;
CREATE INDEX sku_pool_waiting ON tranche.sku (sku_id)
  WHERE presplit AND state = 'OPEN' AND NOT quota_frozen AND pool_waiting AND whereabouts = 'HERE';

ALTER TABLE tranche.reservation
  -- Grows with every change; orders the messages about the reservation.
  ADD COLUMN revision          integer NOT NULL DEFAULT 1,
  ADD COLUMN extensions        integer NOT NULL DEFAULT 0,
  -- When it left PENDING.
  ADD COLUMN finished_at       timestamptz,
  ADD COLUMN payment_reference text CHECK (octet_length(payment_reference) BETWEEN 1 AND 128),
  ADD COLUMN cancel_reason     text CHECK (octet_length(cancel_reason) <= 256),
  -- The lapsed reservation whose late payment paid for this one.
  ADD COLUMN rebooked_from     uuid,
  ADD CHECK ((state = 'PENDING') = (finished_at IS NULL)),
  ADD CHECK ((state = 'CONFIRMED') = (payment_reference IS NOT NULL));
-- Every change of state leaves a dead entry in the partial indexes.
ALTER TABLE tranche.reservation SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
-- Whether a SKU has unpaid holds, for sku_state. Written so that nothing else can serve that question and this index no
-- other: the others would look through all that was ever sold of a SKU whose last hold has been paid.
CREATE INDEX reservation_pending ON tranche.reservation ((sku_id || '')) WHERE finished_at IS NULL;
-- Lapsed reservations of a SKU, and of a buyer of a SKU; the live ones are found by reservation_live_buyer. Creating a
-- reservation touches neither of these two.
CREATE INDEX reservation_lapsed_buyer ON tranche.reservation (sku_id, user_id, reservation_id)
  WHERE state IN ('CANCELLED', 'EXPIRED');
CREATE INDEX reservation_lapsed ON tranche.reservation (finished_at) WHERE state IN ('CANCELLED', 'EXPIRED');

-- PENDING -> CONFIRMED, CANCELLED or EXPIRED, and nothing else. The condition is cheap; the function runs only to refuse.
CREATE FUNCTION tranche.refuse_transition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'reservation % is %: that is final', OLD.reservation_id, OLD.state USING ERRCODE = 'TR003';
END
$$;
CREATE TRIGGER reservation_transition BEFORE UPDATE ON tranche.reservation FOR EACH ROW
  WHEN (OLD.state <> 'PENDING' AND NEW.state IS DISTINCT FROM OLD.state)
  EXECUTE FUNCTION tranche.refuse_transition();

-- A payment that came for a reservation which was no longer pending: it bought another unit, or it has to be refunded.
CREATE TABLE tranche.late_payment (
  reservation_id    uuid NOT NULL,
  payment_reference text NOT NULL CHECK (octet_length(payment_reference) BETWEEN 1 AND 128),
  sku_id            text COLLATE "C" NOT NULL,
  amount_minor      bigint NOT NULL,
  currency          text NOT NULL,
  outcome           text NOT NULL CHECK (outcome IN ('REBOOKED', 'PAID_UNFULFILLED')),
  -- The reservation that it paid for instead.
  rebooked_as       uuid CHECK ((outcome = 'REBOOKED') = (rebooked_as IS NOT NULL)),
  received_at       timestamptz NOT NULL,
  -- When the payment provider was seen to have paid it back.
  refunded_at       timestamptz,
  PRIMARY KEY (reservation_id, payment_reference)
);
CREATE INDEX late_payment_sku ON tranche.late_payment (sku_id);
CREATE INDEX late_payment_open ON tranche.late_payment (received_at)
  WHERE outcome = 'PAID_UNFULFILLED' AND refunded_at IS NULL;

-- Who is told of changes. Each sink has its own copy of every message, so that one that is down holds up no other.
CREATE TABLE tranche.outbox_sink (
  name       text COLLATE "C" PRIMARY KEY CHECK (name ~ '^[a-z0-9][a-z0-9_-]{0,31}$'),
  created_at timestamptz NOT NULL DEFAULT now()
);
-- Is there from the start, so that nothing that happens before the first relay runs is lost.
INSERT INTO tranche.outbox_sink (name) VALUES ('default');

-- Messages that are not delivered yet. Written in the transaction that changes the reservation; deleted when delivered.
-- (reservation_id, revision) names the message; revisions order the messages of one reservation.
CREATE TABLE tranche.outbox (
  reservation_id  uuid NOT NULL,
  revision        integer NOT NULL,
  sink            text COLLATE "C" NOT NULL,
  sku_id          text COLLATE "C" NOT NULL,
  kind            text NOT NULL,
  payload         jsonb NOT NULL,
  created_at      timestamptz NOT NULL DEFAULT now(),
  state           text NOT NULL DEFAULT 'PENDING' CHECK (state IN ('PENDING', 'DEAD')),
  attempts        integer NOT NULL DEFAULT 0,
  -- When it is due; while a relay delivers it, when that relay is taken for dead.
  next_attempt_at timestamptz NOT NULL DEFAULT now(),
  last_error      text,
  PRIMARY KEY (reservation_id, revision, sink)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX outbox_due ON tranche.outbox (sink, next_attempt_at) WHERE state = 'PENDING';
CREATE INDEX outbox_dead ON tranche.outbox (sink, reservation_id, revision) WHERE state = 'DEAD';

-- Reservations that retention took out of `reservation`, as sums: with them the books still balance.
CREATE TABLE tranche.retired_units (
  sku_id         text COLLATE "C" NOT NULL,
  incarnation_id bigint NOT NULL,
  units          bigint NOT NULL,
  -- Those of confirmed reservations.
  live_units     bigint NOT NULL,
  reservations   bigint NOT NULL,
  PRIMARY KEY (sku_id, incarnation_id)
);

-- Where retention keeps them, unless it is told to drop them.
CREATE TABLE tranche.reservation_archive (
  reservation_id    uuid PRIMARY KEY,
  sku_id            text COLLATE "C" NOT NULL,
  user_id           text COLLATE "C" NOT NULL,
  quantity          integer NOT NULL,
  state             text NOT NULL,
  amount_minor      bigint NOT NULL,
  currency          text NOT NULL,
  incarnation_id    bigint NOT NULL,
  created_at        timestamptz NOT NULL,
  expires_at        timestamptz NOT NULL,
  revision          integer NOT NULL,
  extensions        integer NOT NULL,
  finished_at       timestamptz NOT NULL,
  payment_reference text,
  cancel_reason     text,
  rebooked_from     uuid,
  archived_at       timestamptz NOT NULL DEFAULT now()
);

-- A reservation as the servers know it. Times are microseconds since the Unix epoch.
CREATE VIEW tranche.reservation_row AS
SELECT r.reservation_id, r.sku_id, r.user_id, r.quantity, r.state, r.amount_minor, r.currency, r.incarnation_id,
       (date_part('epoch', r.created_at) * 1000000)::bigint AS created_us,
       (date_part('epoch', r.expires_at) * 1000000)::bigint AS expires_us,
       (date_part('epoch', r.finished_at) * 1000000)::bigint AS finished_us,
       r.payment_reference, r.cancel_reason, r.extensions, r.revision, r.rebooked_from
FROM tranche.reservation r;

-- A SKU as the servers know it, as before and with its new columns last; only where it is on this shard.
CREATE OR REPLACE VIEW tranche.sku_state AS
SELECT s.sku_id, s.title, s.price_minor, s.currency, s.stock, s.per_user_limit, s.hold_seconds,
       CASE WHEN isfinite(s.opens_at) THEN (extract(epoch FROM s.opens_at) * 1000000)::bigint END AS opens_us,
       CASE WHEN isfinite(s.closes_at) THEN (extract(epoch FROM s.closes_at) * 1000000)::bigint END AS closes_us,
       s.state = 'CLOSED' AS closed, s.slots_per_slice,
       (SELECT sum(sl.remaining) FROM tranche.stock_slot sl WHERE sl.sku_id = s.sku_id)::bigint AS unsold,
       s.quota_version,
       EXISTS (SELECT FROM tranche.reservation r WHERE r.sku_id || '' = s.sku_id AND r.finished_at IS NULL OFFSET 0)
         AS holds_may_lapse,
       s.presplit, s.quota_frozen, s.max_extensions, s.max_hold_seconds
FROM tranche.sku s
WHERE s.whereabouts IN ('HERE', 'LEAVING');

-- Functions whose parameters or columns change; procedures/ makes them anew, with the new ones last.
DROP FUNCTION IF EXISTS tranche.read_quotas(text[]);
DROP FUNCTION IF EXISTS tranche.move_units_batch(text[], bigint[], integer[], bigint[], bigint[], text);
DROP FUNCTION IF EXISTS tranche.commit_reservations(bigint, boolean, uuid[], text[], text[], integer[]);
DROP FUNCTION IF EXISTS tranche.find_reservations(uuid[]);
DROP FUNCTION IF EXISTS tranche.create_sku(text, text, bigint, text, bigint, integer, integer, bigint, bigint, integer, text,
                                           boolean);
