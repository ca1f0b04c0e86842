\ir helpers.psql
SELECT no_plan();

CREATE FUNCTION returned() RETURNS text LANGUAGE sql AS
$$ SELECT coalesce(string_agg(sku_id, ' '), '') FROM tranche.list_returned_skus('', 9) $$;

SELECT sku('a', 2), sku('b', 1);
SELECT node() AS node \gset
SELECT tranche.move_units('a', ARRAY[:node], ARRAY[2], NULL, 'test'), tranche.move_units('b', ARRAY[:node], ARRAY[1], NULL, 'test');
SELECT is(outcomes(:node, true, uids(1, 2, 3), '{a,b,a}', '{u,u,v}', '{1,1,1}'), '{CREATED,CREATED,CREATED}');
SELECT is(cancel(uids(1, 2)), '{"DONE CANCELLED 2","DONE CANCELLED 2"}');
SELECT is(returned(), 'a b');
SELECT version('a') AS a, version('b') AS b \gset
SELECT tranche.ack_returned_skus('{b,none,a}', ARRAY[:b, 1, :a - 1]);
SELECT is(returned(), 'a', 'an older one was announced');
-- More units, and nothing new to announce.
SELECT is(cancel(uids(3)), '{"DONE CANCELLED 2"}');
SELECT tranche.ack_returned_skus('{a}', ARRAY[:a]);
SELECT is(returned(), '');

-- The pool ran dry and got units again between the read and the acknowledgement: it stays listed.
SELECT tranche.move_units('a', ARRAY[:node], ARRAY[2], NULL, 'test');
SELECT is(outcomes(:node, true, uids(11, 12), '{a,a}', '{u,v}', '{1,1}'), '{CREATED,CREATED}');
SELECT is(cancel(uids(11)), '{"DONE CANCELLED 2"}');
SELECT version('a') AS a \gset
SELECT tranche.move_units('a', ARRAY[:node], ARRAY[1], NULL, 'test');
SELECT is(cancel(uids(12)), '{"DONE CANCELLED 2"}');
SELECT tranche.ack_returned_skus('{a}', ARRAY[:a]);
SELECT is(returned(), 'a');
SELECT move_sku('a', 'LEAVING');
SELECT tranche.ack_returned_skus('{a}', ARRAY[version('a')]);
SELECT move_sku('a', 'HERE');
SELECT is(returned(), 'a', 'nothing changes of one on its way elsewhere');
SELECT tranche.ack_returned_skus('{a}', ARRAY[version('a')]);
SELECT is(returned(), '');
SELECT conserved();
SELECT * FROM finish();
