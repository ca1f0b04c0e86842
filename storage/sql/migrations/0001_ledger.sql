-- The ledger's tables. All access of the servers goes through the functions under procedures/, which run as this
-- schema's owner; the role tranche_app may execute them and nothing else.
--
-- Keys are text COLLATE "C": compared byte by byte, so that their order is the same on every machine and in the servers,
-- and index lookups are cheap.

CREATE SCHEMA IF NOT EXISTS tranche;

DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'tranche_app') THEN
    CREATE ROLE tranche_app NOLOGIN;
  END IF;
END
$$;
REVOKE ALL ON SCHEMA tranche FROM PUBLIC;
GRANT USAGE ON SCHEMA tranche TO tranche_app;

CREATE TABLE tranche.sku (
  sku_id          text COLLATE "C" PRIMARY KEY CHECK (sku_id ~ '^[A-Za-z0-9._-]{1,64}$' AND sku_id NOT IN ('.', '..')),
  title           text NOT NULL CHECK (length(title) <= 256),
  price_minor     bigint NOT NULL CHECK (price_minor BETWEEN 0 AND 1000000000000),
  currency        text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
  -- Units that may ever be sold.
  stock           bigint NOT NULL CHECK (stock BETWEEN 0 AND 1000000000),
  per_user_limit  integer NOT NULL CHECK (per_user_limit BETWEEN 1 AND 1000),
  hold_seconds    integer NOT NULL CHECK (hold_seconds BETWEEN 1 AND 604800),
  opens_at        timestamptz NOT NULL DEFAULT '-infinity',
  closes_at       timestamptz NOT NULL DEFAULT 'infinity',
  state           text NOT NULL DEFAULT 'OPEN' CHECK (state IN ('OPEN', 'CLOSED')),
  slots_per_slice integer NOT NULL DEFAULT 1 CHECK (slots_per_slice BETWEEN 1 AND 64),
  -- Grows with every move of units and every change of stock or state, under this row's lock: orders announcements.
  quota_version   bigint NOT NULL DEFAULT 1,
  created_at      timestamptz NOT NULL DEFAULT now(),
  CHECK (opens_at < closes_at)
);

-- One run of one front node.
CREATE TABLE tranche.incarnation (
  incarnation_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  node_name      text NOT NULL CHECK (length(node_name) BETWEEN 1 AND 128),
  address        text NOT NULL CHECK (length(address) BETWEEN 1 AND 256),
  started_at     timestamptz NOT NULL DEFAULT now(),
  -- Set by reclaim_incarnation: it holds nothing any more and never will again.
  reclaimed_at   timestamptz
);
CREATE INDEX incarnation_live ON tranche.incarnation (incarnation_id) WHERE reclaimed_at IS NULL;

-- A part of a SKU's stock: the unit of row locking and of ownership. Slot 0 is the pool, held by nobody; every other
-- slot is held by one incarnation from its insertion to its deletion. Only `allotted`, `remaining` and `version` change,
-- and no index has them, so that updates stay on their page (HOT). No foreign keys: these are the hot rows.
CREATE TABLE tranche.stock_slot (
  sku_id    text COLLATE "C" NOT NULL,
  slot_no   integer NOT NULL,
  holder    bigint,
  allotted  bigint NOT NULL,
  remaining bigint NOT NULL CHECK (remaining >= 0),
  version   bigint NOT NULL,
  PRIMARY KEY (sku_id, slot_no),
  CHECK ((slot_no = 0) = (holder IS NULL)),
  CHECK (remaining <= allotted)
) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200,
        autovacuum_vacuum_cost_delay = 0);
CREATE INDEX stock_slot_holder ON tranche.stock_slot (holder, sku_id, slot_no);

-- One buyer's claim. `ordinal` numbers a buyer's live reservations of a SKU from 1, so that the unique index bounds them
-- (per_user_limit 1 needs no more than that; above 1 commit_reservations takes a lock per buyer).
CREATE TABLE tranche.reservation (
  reservation_id uuid PRIMARY KEY,
  sku_id         text COLLATE "C" NOT NULL,
  user_id        text COLLATE "C" NOT NULL CHECK (octet_length(user_id) BETWEEN 1 AND 128),
  quantity       integer NOT NULL CHECK (quantity >= 1),
  ordinal        integer NOT NULL CHECK (ordinal >= 1),
  state          text NOT NULL DEFAULT 'PENDING' CHECK (state IN ('PENDING', 'CONFIRMED', 'CANCELLED', 'EXPIRED')),
  amount_minor   bigint NOT NULL,
  currency       text NOT NULL,
  -- The incarnation that sold it.
  incarnation_id bigint NOT NULL,
  created_at     timestamptz NOT NULL,
  expires_at     timestamptz NOT NULL
);
CREATE UNIQUE INDEX reservation_live_buyer ON tranche.reservation (sku_id, user_id, ordinal)
  WHERE state IN ('PENDING', 'CONFIRMED');
CREATE INDEX reservation_due ON tranche.reservation (expires_at) WHERE state = 'PENDING';

-- Who changed stock or quota, when, from what to what.
CREATE TABLE tranche.audit_log (
  audit_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at        timestamptz NOT NULL DEFAULT now(),
  actor     text NOT NULL,
  action    text NOT NULL,
  sku_id    text COLLATE "C" NOT NULL,
  before    jsonb NOT NULL,
  after     jsonb NOT NULL
);
CREATE INDEX audit_log_sku ON tranche.audit_log (sku_id, audit_id);
