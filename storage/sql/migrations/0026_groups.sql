-- Group buying (docs/groups.md): whoever joins a group holds a reservation as ever; it is paid for good only when the group is full.
-- Offers, groups and members are on their SKU's shard.
--
-- Nothing is built or rewritten; the lock is held until the procedures are made anew, for a fraction of a second. Who cannot have it
-- within 2 s fails and is run again: all sales would wait behind it.

SET LOCAL lock_timeout = '2s';

-- The group that it was made for. Such a one is confirmed, cancelled and expired by the procedures of groups.
ALTER TABLE tranche.reservation ADD COLUMN group_id uuid;
ALTER TABLE tranche.reservation_archive ADD COLUMN group_id uuid;

-- Since when its refund is asked for, if that is later than received_at: a seat may have been paid days before its group failed. NULL:
-- since then.
ALTER TABLE tranche.late_payment ADD COLUMN requested_at timestamptz;

-- What groups of a SKU are offered. All but closed_at stays as it was made, so groups need not keep it.
CREATE TABLE tranche.group_offer (
  sku_id       text COLLATE "C" NOT NULL,
  offer_id     text COLLATE "C" NOT NULL CHECK (offer_id ~ '^[A-Za-z0-9._-]{1,64}$'),
  seats        integer NOT NULL CHECK (seats BETWEEN 2 AND 100),
  -- For each unit, in the SKU's currency.
  price_minor  bigint NOT NULL CHECK (price_minor BETWEEN 0 AND 1000000000000),
  -- How long a group may form, and how long a member may take to pay.
  open_seconds integer NOT NULL CHECK (open_seconds BETWEEN 1 AND 604800),
  pay_seconds  integer NOT NULL CHECK (pay_seconds BETWEEN 1 AND 604800),
  -- What becomes of a group that is not full at its deadline. PARTIAL: with min_members seats or more it is sold to them.
  on_timeout   text NOT NULL CHECK (on_timeout IN ('REFUND', 'PARTIAL')),
  min_members  integer NOT NULL CHECK (min_members BETWEEN 1 AND seats),
  created_at   timestamptz NOT NULL,
  -- No group is opened any more. Those that form go on.
  closed_at    timestamptz,
  PRIMARY KEY (sku_id, offer_id)
);

CREATE TABLE tranche.group_buy (
  group_id    uuid PRIMARY KEY,
  sku_id      text COLLATE "C" NOT NULL,
  offer_id    text COLLATE "C" NOT NULL,
  seats       integer NOT NULL,
  -- Members who have paid.
  seats_taken integer NOT NULL DEFAULT 0,
  -- FILLED: sold to all who have a seat. FAILED: its deadline came first. CANCELLED: an operator ended it. The last three are final.
  state       text NOT NULL DEFAULT 'FORMING' CHECK (state IN ('FORMING', 'FILLED', 'FAILED', 'CANCELLED')),
  -- FILLED at its deadline without being full.
  partial     boolean NOT NULL DEFAULT false,
  -- Over, and some members still hold units that they have not paid for: expire_groups ends these.
  unsettled   boolean NOT NULL DEFAULT false,
  -- While it is unsettled: members up to this buyer hold none any more. So each is looked at once.
  settled_to  text COLLATE "C" NOT NULL DEFAULT '',
  opened_by   text COLLATE "C" NOT NULL CHECK (octet_length(opened_by) BETWEEN 1 AND 128),
  reason      text CHECK (octet_length(reason) <= 256),
  created_at  timestamptz NOT NULL,
  deadline_at timestamptz NOT NULL,
  finished_at timestamptz,
  -- Grows with every change.
  revision    integer NOT NULL DEFAULT 1,
  CHECK (seats_taken BETWEEN 0 AND seats),
  CHECK ((state = 'FORMING') = (finished_at IS NULL)),
  -- A full group is filled, in the transaction that takes the last seat.
  CHECK (state <> 'FORMING' OR seats_taken < seats),
  CHECK (state <> 'FILLED' OR seats_taken = seats OR partial),
  CHECK (state = 'FILLED' OR NOT partial),
  CHECK (state <> 'FORMING' OR NOT unsettled)
);
CREATE INDEX group_due ON tranche.group_buy (deadline_at, group_id) WHERE state = 'FORMING';
CREATE INDEX group_unsettled ON tranche.group_buy (group_id) WHERE unsettled;
CREATE INDEX group_of_sku ON tranche.group_buy (sku_id, state, deadline_at, group_id);
-- At most one that forms for a buyer and an offer.
CREATE UNIQUE INDEX group_of_opener ON tranche.group_buy (sku_id, offer_id, opened_by) WHERE state = 'FORMING';
CREATE INDEX group_finished ON tranche.group_buy (finished_at, group_id) WHERE state <> 'FORMING';

-- FORMING becomes one of the others, and nothing else.
CREATE FUNCTION tranche.refuse_group_transition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'group % is %: that is final', OLD.group_id, OLD.state USING ERRCODE = 'TR003';
END
$$;
CREATE TRIGGER group_transition BEFORE UPDATE ON tranche.group_buy FOR EACH ROW
  WHEN (OLD.state <> 'FORMING' AND (NEW.state IS DISTINCT FROM OLD.state OR NEW.seats_taken IS DISTINCT FROM OLD.seats_taken))
  EXECUTE FUNCTION tranche.refuse_group_transition();

-- A buyer's last membership of a group: live while its reservation is PENDING or CONFIRMED. Without foreign keys: they would lock
-- the group's row once more for each member.
CREATE TABLE tranche.group_member (
  group_id          uuid NOT NULL,
  user_id           text COLLATE "C" NOT NULL CHECK (octet_length(user_id) BETWEEN 1 AND 128),
  reservation_id    uuid NOT NULL,
  joined_at         timestamptz NOT NULL,
  -- The seat, with the payment that has taken it. Stays when the group fails; is given up by whoever leaves.
  seat_no           integer CHECK (seat_no BETWEEN 1 AND 100),
  payment_reference text CHECK (octet_length(payment_reference) BETWEEN 1 AND 128),
  paid_at           timestamptz,
  PRIMARY KEY (group_id, user_id),
  CONSTRAINT group_member_reservation UNIQUE (reservation_id),
  CHECK ((seat_no IS NULL) = (payment_reference IS NULL)),
  CHECK ((seat_no IS NULL) = (paid_at IS NULL))
);
-- Nobody sits on another's seat.
CREATE UNIQUE INDEX group_seat ON tranche.group_member (group_id, seat_no) WHERE seat_no IS NOT NULL;

-- Their columns change; procedures/ makes them anew.
DROP FUNCTION IF EXISTS tranche.lock_reservations(uuid[], boolean, boolean);
DROP FUNCTION IF EXISTS tranche.due_holds(timestamptz, timestamptz, uuid, integer);
