\ir helpers.psql
SELECT no_plan();

SELECT is(tranche.add_outbox_sink('billing'), true);
SELECT is(tranche.add_outbox_sink('billing'), false, 'once more is harmless');
SELECT throws_ok($$ SELECT tranche.add_outbox_sink('Not a name') $$, '23514');
SELECT throws_ok($$ SELECT tranche.add_outbox_sink('') $$, '23514');
SELECT results_eq($$ SELECT name FROM tranche.list_outbox_sinks() $$, $$ VALUES ('billing'), ('default') $$);
SELECT * FROM finish();
