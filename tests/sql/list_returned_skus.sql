\ir helpers.psql
SELECT no_plan();

SELECT sku(s, 1) FROM unnest(ARRAY['c', 'a', 'b', 'quiet']) AS s;
SELECT node() AS node \gset
SELECT tranche.move_units(s, ARRAY[:node], ARRAY[1], NULL, 'test') FROM unnest(ARRAY['c', 'a', 'b', 'quiet']) AS s;
SELECT is(outcomes(:node, true, uids(1, 2, 3), '{a,b,c}', '{u,u,u}', '{1,1,1}'), '{CREATED,CREATED,CREATED}');
SELECT is_empty('SELECT * FROM tranche.list_returned_skus('''', 9)');
SELECT is(cancel(uids(3, 1, 2)), '{"DONE CANCELLED 2","DONE CANCELLED 2","DONE CANCELLED 2"}');
SELECT results_eq('SELECT sku_id FROM tranche.list_returned_skus('''', 9)', $$ VALUES ('a'), ('b'), ('c') $$);
SELECT results_eq('SELECT sku_id FROM tranche.list_returned_skus('''', 2)', $$ VALUES ('a'), ('b') $$);
SELECT results_eq('SELECT sku_id FROM tranche.list_returned_skus(''a'', 9)', $$ VALUES ('b'), ('c') $$, 'from there on');
SELECT move_sku('b', 'LEAVING');
SELECT results_eq('SELECT sku_id FROM tranche.list_returned_skus('''', 2)', $$ VALUES ('a'), ('c') $$, 'not one on its way elsewhere');
SELECT move_sku('b', 'HERE');
SELECT conserved();

SELECT * FROM finish();
