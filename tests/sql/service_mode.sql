\ir helpers.psql
SELECT no_plan();

-- 'mode reason by' before and after a change.
CREATE FUNCTION set_mode(p_mode text, p_reason text DEFAULT '', p_actor text DEFAULT 'alice') RETURNS text LANGUAGE sql AS
$$ SELECT string_agg(concat_ws(' ', mode, nullif(reason, ''), changed_by), ', ' ORDER BY place)
   FROM tranche.set_service_mode(p_mode, p_reason, p_actor) $$;
CREATE FUNCTION door_version() RETURNS bigint LANGUAGE sql AS $$ SELECT version FROM tranche.read_front_version() $$;

SELECT results_eq('SELECT * FROM tranche.read_service_mode()', $$ VALUES ('NORMAL', '', NULL::bigint, NULL::text) $$);
SELECT is(set_mode('NORMAL', 'ignored'), 'NORMAL, NORMAL', 'it is so already');
SELECT is(door_version(), 1::bigint);
SELECT is(set_mode('CHANGES_ONLY', 'back-soon'), 'NORMAL, CHANGES_ONLY back-soon alice');
SELECT is(door_version(), 2::bigint, 'nodes hear of it as of a policy');
SELECT is(set_mode('CHANGES_ONLY', 'back-soon', 'bob'), 'CHANGES_ONLY back-soon alice, CHANGES_ONLY back-soon alice', 'a repeat');
SELECT is(door_version(), 2::bigint);
SELECT is(set_mode('CHANGES_ONLY', 'later', E'carol\nlong outage'),
          'CHANGES_ONLY back-soon alice, CHANGES_ONLY later carol', 'another reason, and the actor without theirs');
SELECT is(set_mode('READ_ONLY', ''), 'CHANGES_ONLY later carol, READ_ONLY alice');
SELECT is((SELECT changed_us FROM tranche.read_service_mode()),
          (SELECT (extract(epoch FROM changed_at) * 1000000)::bigint FROM tranche.service_mode));
SELECT is(set_mode('NORMAL', 'ignored'), 'READ_ONLY alice, NORMAL alice');
SELECT is(door_version(), 5::bigint);
SELECT throws_ok($$ SELECT set_mode('CLOSED') $$, '23514');
SELECT throws_ok($$ SELECT set_mode('READ_ONLY', repeat('x', 201)) $$, '23514');
SELECT is(door_version(), 5::bigint, 'neither was a change');
SELECT results_eq($$ SELECT actor, action, sku_id, before, after FROM tranche.audit_log ORDER BY audit_id $$,
                  $$ VALUES ('alice', 'set_service_mode', NULL::text COLLATE "C", '{"mode": "NORMAL", "reason": ""}'::jsonb,
                             '{"mode": "CHANGES_ONLY", "reason": "back-soon"}'::jsonb),
                            ('carol', 'set_service_mode', NULL, '{"mode": "CHANGES_ONLY", "reason": "back-soon"}',
                             '{"mode": "CHANGES_ONLY", "reason": "later"}'),
                            ('alice', 'set_service_mode', NULL, '{"mode": "CHANGES_ONLY", "reason": "later"}',
                             '{"mode": "READ_ONLY", "reason": ""}'),
                            ('alice', 'set_service_mode', NULL, '{"mode": "READ_ONLY", "reason": ""}',
                             '{"mode": "NORMAL", "reason": ""}') $$);
SELECT is((SELECT reason FROM tranche.audit_log WHERE actor = 'carol'), 'long outage');
SELECT * FROM finish();
