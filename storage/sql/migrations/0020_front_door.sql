-- The front door: its policies, lottery rounds and keys, and who is always let in or never. Every shard has the tables; only
-- home's are used.
--
-- Whoever cannot have a lock within 2 s fails and is run again; of what servers use, it needs none.

SET LOCAL lock_timeout = '2s';

-- The newest change of any of them. One row: each change locks it first, so changes commit in the order of their versions.
CREATE TABLE tranche.front_door (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  version  bigint NOT NULL,
  stamp    uuid NOT NULL
);

-- The changes that a reader can go on from: the newest 1,000 (procedures/next_front_version.sql). The stamp is random, so that a
-- reader notices a restore: what has its version then has another stamp.
CREATE TABLE tranche.front_change (
  version    bigint PRIMARY KEY,
  stamp      uuid NOT NULL DEFAULT gen_random_uuid(),
  changed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
INSERT INTO tranche.front_change (version) VALUES (1);
INSERT INTO tranche.front_door (version, stamp) SELECT c.version, c.stamp FROM tranche.front_change c;

-- What is asked of those who want to buy a SKU, or, as '*', any SKU without a policy of its own.
CREATE TABLE tranche.front_policy (
  sku_id     text COLLATE "C" PRIMARY KEY CHECK (sku_id = '*' OR sku_id ~ '^[A-Za-z0-9._-]{1,64}$'),
  -- JSON that only the servers read. NULL: the policy was removed; readers of before have to be told.
  document   text CHECK (octet_length(document) BETWEEN 1 AND 16384),
  -- That of the change which set it so.
  version    bigint NOT NULL,
  changed_at timestamptz NOT NULL,
  changed_by text NOT NULL
);

-- A round of the lottery of a policy. At most one of a policy runs.
CREATE TABLE tranche.front_round (
  sku_id     text COLLATE "C" NOT NULL,
  number     bigint NOT NULL CHECK (number >= 1),
  key        bytea NOT NULL CHECK (octet_length(key) = 32),
  -- Of a million buyers. It only grows.
  admitted   integer NOT NULL CHECK (admitted BETWEEN 0 AND 1000000),
  started_at timestamptz NOT NULL,
  ended_at   timestamptz,
  PRIMARY KEY (sku_id, number)
);
CREATE UNIQUE INDEX front_round_running ON tranche.front_round (sku_id) WHERE ended_at IS NULL;

-- What purchase tokens and challenges are made with.
CREATE TABLE tranche.front_key (
  key_id bigint PRIMARY KEY CHECK (key_id >= 1),
  use    text NOT NULL UNIQUE CHECK (use IN ('NEXT', 'CURRENT', 'PREVIOUS')),
  secret bytea NOT NULL CHECK (octet_length(secret) = 32),
  -- Since when it has this use.
  since  timestamptz NOT NULL
);
-- 244 random bits each, from the server's own source.
INSERT INTO tranche.front_key (key_id, use, secret, since)
SELECT k.id, k.use, sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())), now()
FROM (VALUES (1, 'PREVIOUS'), (2, 'CURRENT'), (3, 'NEXT')) AS k (id, use);

-- Who is always let in, or never.
CREATE TABLE tranche.access_entry (
  kind       text COLLATE "C" NOT NULL CHECK (kind IN ('BUYER', 'NETWORK')),
  -- A user id, or a prefix of addresses in its one form.
  value      text COLLATE "C" NOT NULL CHECK (octet_length(value) BETWEEN 1 AND 128),
  allow      boolean NOT NULL,
  -- NULL: it stays.
  expires_at timestamptz,
  reason     text NOT NULL CHECK (char_length(reason) <= 200),
  version    bigint NOT NULL,
  -- Readers of before have to be told.
  removed    boolean NOT NULL DEFAULT false,
  changed_at timestamptz NOT NULL,
  changed_by text NOT NULL,
  PRIMARY KEY (kind, value)
);
-- For what has changed since, for what everybody knows to be removed, and for what is over.
CREATE INDEX access_entry_version ON tranche.access_entry (version);
CREATE INDEX access_entry_removed ON tranche.access_entry (version) WHERE removed;
CREATE INDEX access_entry_expires ON tranche.access_entry (expires_at) WHERE NOT removed AND expires_at IS NOT NULL;
