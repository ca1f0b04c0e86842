\ir helpers.psql
SELECT no_plan();

-- 'outcome added replaced unchanged entries' of a change about buyers.
CREATE FUNCTION add(p_users text[], p_allow boolean DEFAULT false, p_expires_us bigint DEFAULT NULL, p_reason text DEFAULT 'why',
                    p_kind text DEFAULT 'BUYER', p_preview boolean DEFAULT false) RETURNS text LANGUAGE sql AS
$$ SELECT concat_ws(' ', outcome, added, replaced, unchanged, entries)
   FROM tranche.add_access_entries(array_fill(p_kind, ARRAY[cardinality(p_users)]), p_users,
                                   array_fill(p_allow, ARRAY[cardinality(p_users)]),
                                   array_fill(p_expires_us, ARRAY[cardinality(p_users)]),
                                   array_fill(p_reason, ARRAY[cardinality(p_users)]), p_preview, 'alice') $$;
CREATE FUNCTION remove(VARIADIC p_users text[]) RETURNS text LANGUAGE sql AS
$$ SELECT concat_ws(' ', removed, entries)
   FROM tranche.remove_access_entries(array_fill('BUYER'::text, ARRAY[cardinality(p_users)]), p_users, false, E'bob\nreason') $$;
-- 'value value! ...' of what has changed since, ! where it was removed; of all if NULL.
CREATE FUNCTION changes(p_since bigint) RETURNS text LANGUAGE sql AS
$$ SELECT string_agg(value || CASE WHEN removed THEN '!' ELSE '' END, ' ') FROM tranche.read_access_changes(p_since, '', '', 100) $$;
CREATE FUNCTION micros(p_at timestamptz) RETURNS bigint LANGUAGE sql AS $$ SELECT (extract(epoch FROM p_at) * 1000000)::bigint $$;
CREATE FUNCTION door() RETURNS bigint LANGUAGE sql AS $$ SELECT version FROM tranche.read_front_version() $$;

SELECT is(add('{u2,u1}'), 'DONE 2 0 0 2');
SELECT is(add('{u2,u3}', true), 'DONE 1 1 0 3');
SELECT is(door(), 3::bigint);
SELECT is(add('{u2,u3}', true), 'DONE 0 0 2 3');
SELECT is(door(), 3::bigint, 'nothing has changed');
SELECT is(add('{u1}', p_reason => 'another'), 'DONE 0 1 0 3');
SELECT is(add('{10.0.0.0/8}', p_kind => 'NETWORK'), 'DONE 1 0 0 4');
SELECT is(changes(NULL), 'u1 u2 u3 10.0.0.0/8', 'buyers first');
SELECT is(changes(3), 'u1 10.0.0.0/8');
SELECT is(remove('u2', 'none', 'u2'), '1 3');
SELECT is(remove('u2'), '0 3');
SELECT is(changes(NULL), 'u1 u3 10.0.0.0/8');
SELECT is(changes(5), 'u2!');
SELECT is(door(), 6::bigint);
SELECT is(add('{u1,u4}', true, p_preview => true), 'DONE 1 1 0 4', 'a preview says what would be');
SELECT is((SELECT concat_ws(' ', removed, entries)
           FROM tranche.remove_access_entries('{BUYER,BUYER}', '{u1,none}', true, 'bob')), '1 2');
SELECT is(changes(NULL), 'u1 u3 10.0.0.0/8', 'and changes nothing');
SELECT is(door(), 6::bigint, 'it takes no version');
SELECT is((SELECT count(*) FROM tranche.audit_log), 5::bigint, 'nor is it audited');
SELECT is(add('{u2}', true), 'DONE 1 0 0 4', 'again');
SELECT is(add('{}'), 'DONE 0 0 0 4');
SELECT throws_ok($$ SELECT add('{u1,u1}') $$, '22023');
SELECT throws_ok($$ SELECT add((SELECT array_agg('u' || i) FROM generate_series(1, 1001) AS i)) $$, '22023');
SELECT throws_ok($$ SELECT remove(VARIADIC (SELECT array_agg('u' || i) FROM generate_series(1, 1001) AS i)) $$, '22023');
SELECT throws_ok($$ SELECT add('{""}') $$, '23514');
SELECT throws_ok($$ SELECT add(ARRAY[repeat('u', 129)]) $$, '23514');
SELECT throws_ok($$ SELECT add('{u9}', p_reason => repeat('r', 201)) $$, '23514');
SELECT throws_ok($$ SELECT add('{u9}', p_kind => 'SHOP') $$, '23514');
SELECT results_eq($$ SELECT actor, action, before, after FROM tranche.audit_log ORDER BY audit_id DESC LIMIT 3 $$,
                  $$ VALUES ('alice', 'add_access_entries', '{"entries": 3}'::jsonb,
                             '{"added": 1, "entries": 4, "replaced": 0, "subjects": ["allow user u2"]}'::jsonb),
                            ('bob', 'remove_access_entries', '{"entries": 4}', '{"entries": 3, "removed": 1, "subjects": ["user u2"]}'),
                            ('alice', 'add_access_entries', '{"entries": 3}',
                             '{"added": 1, "entries": 4, "replaced": 0, "subjects": ["deny address 10.0.0.0/8"]}') $$);
SELECT is((SELECT string_agg(value, ' ') FROM tranche.list_access_entries(NULL, NULL, NULL, '', '', 2)), 'u1 u2');
SELECT is((SELECT string_agg(value, ' ') FROM tranche.list_access_entries(NULL, NULL, NULL, 'BUYER', 'u2', 9)), 'u3 10.0.0.0/8');
SELECT is((SELECT string_agg(value, ' ') FROM tranche.list_access_entries(true, NULL, NULL, '', '', 9)), 'u2 u3');
SELECT is((SELECT string_agg(value, ' ') FROM tranche.list_access_entries(NULL, 'NETWORK', '10.0.0.0/8', '', '', 9)), '10.0.0.0/8');
SELECT is((SELECT reason || ' ' || changed_by FROM tranche.list_access_entries(NULL, 'BUYER', 'u1', '', '', 9)), 'another alice');

-- What is over is not there; each addition marks 2000 of these for readers.
SELECT micros(now() + interval '1 hour') AS brief_us \gset
SELECT is(add('{brief}', p_expires_us => :brief_us), 'DONE 1 0 0 5');
SELECT is((SELECT expires_us FROM tranche.list_access_entries(NULL, 'BUYER', 'brief', '', '', 9)), :brief_us::bigint);
UPDATE tranche.access_entry SET expires_at = now() - interval '1 second' WHERE value = 'brief';
SELECT is((SELECT count(*) FROM tranche.list_access_entries(NULL, 'BUYER', 'brief', '', '', 9)), 0::bigint);
SELECT is(changes(NULL), 'u1 u2 u3 10.0.0.0/8');
SELECT is(remove('brief'), '0 4');
INSERT INTO tranche.access_entry (kind, value, allow, reason, version, expires_at, changed_at, changed_by)
SELECT 'BUYER', 'over-' || i, false, '', 1, now() - interval '1 day', now(), 'x' FROM generate_series(1, 2500) AS i;
SELECT is(add('{u1}', true), 'DONE 0 1 0 4');
SELECT is((SELECT count(*) FROM tranche.access_entry WHERE removed AND version = door()), 2000::bigint);
SELECT is(add('{u1}'), 'DONE 0 1 0 4');
SELECT is((SELECT count(*) FROM tranche.access_entry WHERE removed), 2501::bigint);
SELECT is(add('{over-1}'), 'DONE 1 0 0 5', 'it may come back');
SELECT is(add('{late}', p_expires_us => micros(now() - interval '1 minute')), 'DONE 1 0 0 5', 'it is over already');

-- There may be 200,000.
INSERT INTO tranche.access_entry (kind, value, allow, reason, version, changed_at, changed_by)
SELECT 'BUYER', 'x' || i, false, '', 1, now(), 'x' FROM generate_series(1, 199994) AS i;
ANALYZE tranche.access_entry;
SELECT is(add('{m1,m2}'), 'FULL 0 0 0 199999');
SELECT is(add('{m1,m2}', p_preview => true), 'FULL 0 0 0 199999');
SELECT is(add('{m1,u1}', true), 'DONE 1 1 0 200000');
SELECT is(add('{m2,u1}', true), 'FULL 0 0 0 200000');
SELECT is(add('{u1}'), 'DONE 0 1 0 200000', 'no more than before');
SELECT is(remove('m1'), '1 199999');
SELECT is(add('{m2}'), 'DONE 1 0 0 200000');

-- A page costs a page, and what has changed costs itself.
SELECT cmp_ok(rows_read('access_entry', $$ SELECT * FROM tranche.list_access_entries(NULL, NULL, NULL, 'BUYER', 'x5', 10) $$), '<=', 40::bigint);
SELECT cmp_ok(rows_read('access_entry', $$ SELECT * FROM tranche.list_access_entries(NULL, 'BUYER', 'x77', '', '', 10) $$), '<=', 10::bigint);
SELECT cmp_ok(rows_read('access_entry', $$ SELECT * FROM tranche.read_access_changes(NULL, 'BUYER', 'x5', 10) $$), '<=', 40::bigint);
SELECT cmp_ok(rows_read('access_entry', format($$ SELECT * FROM tranche.read_access_changes(%s, '', '', 1001) $$, door() - 1)), '<=', 10::bigint);

-- Who has missed up to 5000 changed entries is told these, others all; counting more costs no more.
SELECT tranche.next_front_version() AS known \gset
SELECT stamp FROM tranche.read_front_version() \gset
UPDATE tranche.access_entry SET version = :known + 1 WHERE kind = 'BUYER' AND value IN (SELECT 'x' || i FROM generate_series(1, 5000) AS i);
SELECT is((SELECT complete FROM tranche.compare_front_version(:known, :'stamp')), false);
UPDATE tranche.access_entry SET version = :known + 1 WHERE kind = 'BUYER' AND value = 'x5001';
SELECT is((SELECT complete FROM tranche.compare_front_version(:known, :'stamp')), true);
UPDATE tranche.access_entry SET version = :known + 1 WHERE kind = 'BUYER' AND value LIKE 'x7____';
SELECT cmp_ok(rows_read('access_entry', format($$ SELECT * FROM tranche.compare_front_version(%s, %L) $$, :known, :'stamp')), '<=', 5001::bigint);
SELECT * FROM finish();
