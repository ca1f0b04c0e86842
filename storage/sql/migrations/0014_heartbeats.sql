-- Who runs: each balancer and each worker says so at every shard that it serves (procedures/beat.sql).
--
-- No lock on a table that servers use.

CREATE TABLE tranche.heartbeat (
  kind       text COLLATE "C" NOT NULL CHECK (kind IN ('balancer', 'worker')),
  -- One run of one process: a random id of its own.
  instance   uuid NOT NULL,
  name       text NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 128),
  version    text NOT NULL CHECK (octet_length(version) BETWEEN 1 AND 64),
  started_at timestamptz NOT NULL,
  beat_at    timestamptz NOT NULL,
  -- It has ended in an orderly way.
  ended_at   timestamptz,
  -- What it does; list_heartbeats says which members are read. Others are for later versions.
  details    jsonb NOT NULL CHECK (jsonb_typeof(details) = 'object' AND octet_length(details::text) <= 4096),
  PRIMARY KEY (kind, instance)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);
