-- What the pages' SQL takes for granted, in a new database: the SKU phone, of which a restore brought an older copy
-- back, cam, which has gone to the shard hot, and tv; with sales, a payment that came late, and a hold that should have
-- expired; and a group that should have ended.
SET check_function_bodies = off;  -- some of the helpers need pgTAP
\ir ../../sql/helpers.psql

SELECT tranche.add_shard('hot', 'host=a dbname=hot', 'test');
SELECT sku('phone', 10), sku('cam', 5), sku('tv', 1);
SELECT holder('phone', 6) AS node \gset
SELECT outcome(:node, 1, 'phone', 'alice');
SELECT make_due(1);
SELECT expire();
SELECT pay_late(1);
SELECT outcome(:node, 2, 'phone', 'bob');
UPDATE tranche.reservation SET created_at = created_at - interval '1 h', expires_at = expires_at - interval '1 h'
WHERE reservation_id = uid(2);
SELECT holder('cam', 5) AS node \gset
SELECT outcome(:node, 3, 'cam', 'alice');
SELECT tranche.give_up_copy('cam', 'hot', 'test');
INSERT INTO tranche.group_buy (group_id, sku_id, offer_id, seats, opened_by, created_at, deadline_at)
VALUES (uid(9), 'tv', 'trio', 2, 'alice', now() - interval '2 h', now() - interval '1 h');
