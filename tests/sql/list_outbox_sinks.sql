\ir helpers.psql
SELECT no_plan();

SELECT results_eq($$ SELECT name FROM tranche.list_outbox_sinks() $$, $$ VALUES ('default') $$, 'there from the start');
SELECT tranche.add_outbox_sink('billing', 'somebody');
SELECT results_eq($$ SELECT name FROM tranche.list_outbox_sinks() $$, $$ VALUES ('billing'), ('default') $$);
SELECT * FROM finish();
