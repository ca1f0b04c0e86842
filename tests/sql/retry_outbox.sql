\ir helpers.psql
\ir outbox_helpers.psql
SELECT no_plan();

SELECT tranche.add_outbox_sink('other', 'somebody');
SELECT message(1, 2), message(1, 2, 'other'), message(2, 2), message(3, 2);
SELECT is(claimed(), '1/2 2/2 3/2');
SELECT failed(1, 2, NULL), failed(1, 2, NULL, 'other'), failed(2, 2, NULL), failed(3, 2, 90000);
SELECT is(tranche.retry_outbox('none', 'alice'), 0::bigint);
SELECT is(tranche.retry_outbox('default', 'alice'), 2::bigint);
SELECT is(left_over(), '1/2 PENDING 0, 1/2 DEAD 0, 2/2 PENDING 0, 3/2 PENDING 1', 'with all attempts before them');
SELECT is((SELECT last_error FROM tranche.get_outbox(uid(1), 2, 'default')), 'refused', 'what it died of is still told');
SELECT is(due_in(3, 2), 90, 'those that were not dead keep their time');
SELECT is(claimed(), '1/2 2/2');
SELECT failed(2, 2, NULL);
SELECT is(tranche.retry_outbox('', 'bob'), 2::bigint, 'of every sink');
SELECT is(tranche.retry_outbox('', 'bob'), 0::bigint, 'once more changes and audits nothing');
SELECT results_eq($$ SELECT actor, sku_id, before, after FROM tranche.audit_log WHERE action = 'retry_outbox' ORDER BY audit_id $$,
                  $$ VALUES ('alice', NULL::text, '{"sink": "default", "dead": 2}'::jsonb, '{"sink": "default", "dead": 0}'::jsonb),
                            ('bob', NULL, '{"sink": "default", "dead": 1}', '{"sink": "default", "dead": 0}'),
                            ('bob', NULL, '{"sink": "other", "dead": 1}', '{"sink": "other", "dead": 0}') $$);
SELECT * FROM finish();
