-- Consumers of the claim queues rest while an operator lets them. Every shard has the column; only home's is used.
--
-- Nothing is rewritten. Whoever cannot have the lock within 2 s fails and is run again.

SET LOCAL lock_timeout = '2s';

ALTER TABLE tranche.cluster_setting ADD COLUMN claims_paused boolean NOT NULL DEFAULT false;

-- Made anew by procedures/, with one column more, which comes last. Servers of before read the first ones; what they have
-- prepared is refused once with 0A000, which they repeat.
DROP FUNCTION IF EXISTS tranche.read_cluster_settings();
DROP FUNCTION IF EXISTS tranche.ledger_health(integer);
