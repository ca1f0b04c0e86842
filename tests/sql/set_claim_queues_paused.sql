\ir helpers.psql
SELECT no_plan();

CREATE FUNCTION paused() RETURNS boolean LANGUAGE sql AS $$ SELECT claims_paused FROM tranche.read_cluster_settings() $$;

SELECT is(paused(), false);
SELECT is((SELECT claims_paused FROM tranche.ledger_health(10)), false);
SELECT lives_ok($$ SELECT tranche.set_claim_queues_paused(false, 'alice') $$, 'it is so already');
SELECT lives_ok($$ SELECT tranche.set_claim_queues_paused(true, E'alice\nthe ledger needs rest') $$);
SELECT lives_ok($$ SELECT tranche.set_claim_queues_paused(true, 'bob') $$, 'once more changes nothing');
SELECT is(paused(), true);
SELECT is((SELECT claims_paused FROM tranche.ledger_health(10)), true);
SELECT results_eq($$ SELECT frozen, changed_us, changed_by FROM tranche.read_cluster_settings() $$,
                  $$ VALUES (false, NULL::bigint, NULL::text) $$, 'the freeze is another setting');
SELECT tranche.set_cluster_frozen(true, 'carol');
SELECT is(paused(), true);
SELECT lives_ok($$ SELECT tranche.set_claim_queues_paused(false, 'dora') $$);
SELECT is(paused(), false);
SELECT results_eq($$ SELECT actor, action, sku_id, before, after, reason FROM tranche.audit_log
                     WHERE action LIKE '%claim_queues' ORDER BY audit_id $$,
                  $$ VALUES ('alice', 'pause_claim_queues', NULL::text COLLATE "C", '{"claims_paused": false}'::jsonb,
                             '{"claims_paused": true}'::jsonb, 'the ledger needs rest'),
                            ('dora', 'resume_claim_queues', NULL, '{"claims_paused": true}', '{"claims_paused": false}', NULL) $$);

-- Servers read it, and set it for operators.
SET ROLE tranche_node;
SELECT lives_ok($$ SELECT tranche.set_claim_queues_paused(true, 'eve') $$);
SELECT lives_ok('SELECT * FROM tranche.read_cluster_settings()');
RESET ROLE;
SELECT * FROM finish();
