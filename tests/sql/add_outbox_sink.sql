\ir helpers.psql
SELECT no_plan();

SELECT is(tranche.add_outbox_sink('billing', 'somebody'), true);
SELECT is(tranche.add_outbox_sink('billing', 'somebody'), false, 'once more is harmless');
SELECT throws_ok($$ SELECT tranche.add_outbox_sink('Not a name', 'somebody') $$, '23514');
SELECT throws_ok($$ SELECT tranche.add_outbox_sink('', 'somebody') $$, '23514');
SELECT results_eq($$ SELECT name FROM tranche.list_outbox_sinks() $$, $$ VALUES ('billing'), ('default') $$);
SELECT results_eq($$ SELECT actor, action, after FROM tranche.audit_log $$,
                  $$ VALUES ('somebody', 'add_outbox_sink', '{"sink": "billing"}'::jsonb) $$, 'audited, when it was new');
SELECT * FROM finish();
