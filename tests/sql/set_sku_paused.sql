\ir helpers.psql
SELECT no_plan();

SELECT sku('tv', 10);
SELECT holder('tv', 4) AS node \gset
SELECT is(outcome(:node, 1, 'tv', 'u1'), 'CREATED');
SELECT is(tranche.set_sku_paused('tv', true, 'a break', 'alice'), true);
SELECT is(outcome(:node, 2, 'tv', 'u2'), 'PAUSED');
SELECT is(outcome(:node, 2, 'tv', 'u2', false), 'PAUSED', 'whether it waits or not');
SELECT is((SELECT cancel_reason FROM tranche.commit_reservations(:node, true, uids(2), '{tv}', '{u2}', '{1}')), 'a break',
          'buyers are told why');
SELECT is(outcome(:node, 1, 'tv', 'u1'), 'REPLAYED', 'who repeats gets the first answer');
SELECT is(cart(:node, uids(3), '{tv}', '{1}', 'u3'), 'false PAUSED');
SELECT is(slices('tv'), '0:6 ' || :node || ':3', 'the units stay where they are');
SELECT is(version('tv'), 3::bigint, 'nodes hear of it');
SELECT is(tranche.set_sku_paused('tv', true, 'a break', 'bob'), true);
SELECT is(version('tv'), 3::bigint, 'once more changes nothing');
SELECT is(confirm(uids(1)), '{DONE CONFIRMED 2}', 'payments go on');
SELECT is(tranche.move_units('tv', ARRAY[:node]::bigint[], ARRAY[2]::bigint[], NULL, 'test'), true, 'units move on');
SELECT results_eq($$ SELECT sku_id, paused, pause_reason FROM tranche.read_quotas('{tv}') $$,
                  $$ VALUES ('tv', true, 'a break') $$);
SELECT is(tranche.set_sku_paused('tv', true, '', 'carol'), true);
SELECT is((SELECT pause_reason FROM tranche.list_skus('', 9)), NULL, 'without a reason');
SELECT is(tranche.set_sku_paused('tv', false, 'ignored', 'dave'), true);
SELECT is(outcome(:node, 2, 'tv', 'u2'), 'CREATED');
SELECT results_eq($$ SELECT paused, pause_reason, terms_version FROM tranche.list_skus('', 9) $$,
                  $$ VALUES (false, NULL::text, 4::bigint) $$);
SELECT results_eq($$ SELECT actor, action, before, after FROM tranche.audit_log WHERE action IN ('pause_sku', 'resume_sku')
                     ORDER BY audit_id $$,
                  $$ VALUES ('alice', 'pause_sku', '{"paused": false, "pause_reason": null}'::jsonb,
                             '{"paused": true, "pause_reason": "a break"}'::jsonb),
                            ('carol', 'pause_sku', '{"paused": true, "pause_reason": "a break"}',
                             '{"paused": true, "pause_reason": null}'),
                            ('dave', 'resume_sku', '{"paused": true, "pause_reason": null}',
                             '{"paused": false, "pause_reason": null}') $$);
SELECT is(tranche.set_sku_paused('none', true, '', 'alice'), false, 'no such SKU');
SELECT lives_ok($$ SELECT tranche.set_sku_paused('tv', true, repeat('ä', 200), 'alice') $$);
SELECT throws_ok($$ SELECT tranche.set_sku_paused('tv', true, repeat('a', 201), 'alice') $$, '23514');

-- What is over stays over, and what is not open yet is paused.
SELECT is(tranche.create_sku('later', 't', 1, 'EUR', 5, 1, 60, 4000000000000000, NULL, 1, 'test', p_paused => true,
                             p_pause_reason => 'soon'), true);
SELECT results_eq($$ SELECT paused, pause_reason FROM tranche.list_skus('', 9, 'later') $$, $$ VALUES (true, 'soon') $$);
SELECT results_eq($$ SELECT after FROM tranche.audit_log WHERE sku_id = 'later' $$,
                  $$ VALUES ('{"stock": 5, "paused": true, "presplit": true, "price_minor": 1}'::jsonb) $$);
SELECT holder('later', 5) AS node \gset
SELECT is(outcome(:node, 20, 'later', 'u1'), 'PAUSED');
SELECT is(tranche.close_sku('later', 'alice'), true);
SELECT is(outcome(:node, 20, 'later', 'u1'), 'CLOSED');

-- A late payment is no way around a pause.
SELECT sku('radio', 5);
SELECT holder('radio', 5) AS node \gset
SELECT is(outcome(:node, 10, 'radio', 'u1'), 'CREATED');
SELECT make_due(10);
SELECT is(expire(), '1 false');
SELECT is(tranche.set_sku_paused('radio', true, '', 'alice'), true);
SELECT is(pay_late(10), 'PAID_UNFULFILLED f EXPIRED');

SELECT conserved();
SELECT * FROM finish();
