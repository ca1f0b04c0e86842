-- Also of end_audit.
\ir helpers.psql
SELECT no_plan();

SELECT tranche.begin_audit(E'alice\nwhy', 'cancel_reservation', 'tv', '{"state": "PENDING"}', '{"asked": 1}') AS id \gset
SELECT results_eq('SELECT actor, reason, action, sku_id COLLATE "default", before, after, automatic FROM tranche.audit_log',
                  $$ VALUES ('alice', 'why', 'cancel_reservation', 'tv', '{"state": "PENDING"}'::jsonb,
                             '{"asked": 1, "outcome": "UNKNOWN"}'::jsonb, false) $$);
SELECT is(tranche.end_audit(:id, '{"outcome": "DONE", "state": "CANCELLED"}'), true);
SELECT is((SELECT after FROM tranche.audit_log), '{"asked": 1, "outcome": "DONE", "state": "CANCELLED"}'::jsonb);
SELECT is(tranche.end_audit(:id, '{"outcome": "REFUSED"}'), false, 'an outcome stays');
SELECT is((SELECT after ->> 'outcome' FROM tranche.audit_log), 'DONE');
SELECT is(tranche.end_audit(:id + 1, '{"outcome": "DONE"}'), false);

-- What was asked for stays, whatever is said to have come of it.
SELECT tranche.begin_audit('mallory', 'confirm_reservation', 'tv', '{}', '{"amount_minor": 500}') AS id \gset
SELECT is(tranche.end_audit(:id, '{"outcome": "DONE", "amount_minor": 1, "state": "CONFIRMED"}'), true);
SELECT is((SELECT after FROM tranche.audit_log WHERE audit_id = :id),
          '{"outcome": "DONE", "amount_minor": 500, "state": "CONFIRMED"}'::jsonb);
SELECT throws_ok($$ SELECT tranche.begin_audit(E'mallory\n\nautomatic', 'confirm_reservation', 'tv', '{}', '{}') $$, '22023', NULL,
                 'nobody hides among the processes');

-- No other entry can be changed.
SELECT sku('tv', 5);
SELECT is(tranche.end_audit((SELECT max(audit_id) FROM tranche.audit_log), '{"outcome": "DONE"}'), false);

SELECT tranche.begin_audit('bob', 'rebuild_coordination', '', '{}', '{}') AS id \gset
SELECT is((SELECT sku_id FROM tranche.audit_log WHERE audit_id = :id), NULL, 'of no SKU');
SELECT throws_ok(format($$ SELECT tranche.begin_audit(E'alice\n%s', 'x', '', '{}', '{}') $$, repeat('x', 201)), '23514', NULL, 'a reason is short');
SELECT * FROM finish();
