\ir helpers.psql
SELECT plan(4);

SELECT is_empty($$ SELECT * FROM tranche.list_live_incarnations() $$);
SELECT tranche.register_incarnation('a', 'host:1') AS a, tranche.register_incarnation('b', 'host:2') AS b \gset
SELECT results_eq($$ SELECT node_name, address, abs(started_us / 1000000 - extract(epoch FROM now())) < 60
                     FROM tranche.list_live_incarnations() $$,
                  $$ VALUES ('a', 'host:1', true), ('b', 'host:2', true) $$, 'ascending');
SELECT tranche.reclaim_incarnation(:a);
SELECT results_eq($$ SELECT node_name FROM tranche.list_live_incarnations() $$, $$ VALUES ('b') $$);
SELECT tranche.set_draining(:b, true, 'test');
SELECT results_eq($$ SELECT node_name, draining FROM tranche.list_live_incarnations() $$, $$ VALUES ('b', true) $$);
SELECT * FROM finish();
