-- Who may do what, and rules for every function.
\ir helpers.psql
SELECT no_plan();

SELECT has_table('tranche', t, 'table ' || t)
FROM unnest(ARRAY['sku', 'incarnation', 'stock_slot', 'reservation', 'audit_log', 'late_payment', 'outbox', 'outbox_sink',
                  'retired_units', 'reservation_archive', 'retire_cursor', 'ledger_mark', 'heartbeat', 'front_door', 'front_change',
                  'front_policy', 'front_round', 'front_key', 'access_entry', 'draw', 'draw_entry', 'draw_tally', 'draw_chunk',
                  'draw_rank', 'draw_award', 'service_mode', 'hold_reminder', 'group_offer', 'group_buy', 'group_member']::name[]) AS t;

-- The role of the servers.
SELECT schema_privs_are('tranche', 'tranche_app', ARRAY['USAGE']);
SELECT schema_privs_are('tranche', 'tranche_node', ARRAY['USAGE']);
SELECT is_empty($$
  SELECT c.relname, p FROM pg_class c, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES',
                                                    'TRIGGER']) AS p
  WHERE c.relnamespace = 'tranche'::regnamespace AND c.relkind IN ('r', 'v', 'm')
    AND (has_table_privilege('tranche_node', c.oid, p) OR has_table_privilege('tranche_app', c.oid, p)) $$,
  'the servers'' role touches no table');
SELECT is_empty($$
  SELECT c.relname FROM pg_class c
  WHERE c.relnamespace = 'tranche'::regnamespace AND c.relkind = 'S'
    AND (has_sequence_privilege('tranche_node', c.oid, 'USAGE') OR has_sequence_privilege('tranche_node', c.oid, 'UPDATE')) $$,
  'the servers'' role touches no sequence');
SELECT results_eq($$
  SELECT p.proname::text COLLATE "C" FROM pg_proc p
  WHERE p.pronamespace = 'tranche'::regnamespace AND NOT has_function_privilege('tranche_node', p.oid, 'EXECUTE')
  ORDER BY 1 $$,
  $$ VALUES ('add_group_members' COLLATE "C"), ('await_pool'), ('await_standby'), ('awaited_standbys'), ('begin_migration'), ('book_awards'),
            ('change_lottery_round'), ('check_arriving'), ('check_procedures'), ('confirm_late_member'), ('confirm_retired'), ('confirm_seats'),
            ('count_access_entries'), ('due_groups'), ('due_holds'), ('end_empty_groups'), ('end_group_holds'), ('ended_holders'), ('find_draw'), ('give_up_copy'),
            ('is_unfulfilled'), ('judge_joins'), ('known_reservation'), ('ledger_line'), ('lock_due_groups'), ('lock_group_holds'), ('lock_group_seats'),
            ('lock_reservations'), ('lock_sku'), ('lock_units'), ('next_front_version'), ('next_sku_of_buyer'), ('pin_draws'), ('pin_skus'),
            ('pool_ended_slots'), ('random_key'), ('rebook_reservation'), ('record_migration'), ('refuse_older_migrator'), ('request_refund'),
            ('return_units'), ('schema_version'), ('settle_awards'), ('sku_terms'), ('sku_totals'), ('take_group_seats'), ('take_units'),
            ('verify_groups'), ('wake_outbox'), ('write_outbox') $$,
  'the servers'' role may call every procedure but the migrator''s, the owner''s and the parts of others');
SELECT is_empty($$
  SELECT p.proname FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a
  WHERE p.pronamespace = 'tranche'::regnamespace AND a.grantee = 0 $$,
  'the public may call none');

-- Calls that reach tables do so as the owner, by this schema's names only.
SELECT is_empty($$
  SELECT p.proname FROM pg_proc p
  WHERE p.pronamespace = 'tranche'::regnamespace AND p.proname <> 'record_migration'
    AND p.prorettype <> 'trigger'::regtype
    AND (NOT p.prosecdef OR NOT 'search_path=tranche, pg_temp' = ANY (coalesce(p.proconfig, '{}'))) $$,
  'every procedure is SECURITY DEFINER with a fixed search_path');
SELECT is_empty($$
  SELECT p.proname, c.lineno, c.level, c.message, c.detail
  FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang AND l.lanname = 'plpgsql',
       plpgsql_check_function_tb(p.oid, all_warnings => true) AS c
  WHERE p.pronamespace = 'tranche'::regnamespace AND p.prorettype <> 'trigger'::regtype $$,
  'plpgsql_check has nothing to say');

-- The same in practice, as that role.
SET ROLE tranche_node;
SELECT throws_ok('SELECT * FROM tranche.sku', '42501', NULL, 'reading a table is refused');
SELECT throws_ok('UPDATE tranche.stock_slot SET remaining = 1', '42501', NULL, 'writing a table is refused');
SELECT throws_ok('CREATE TABLE tranche.mine (i integer)', '42501', NULL, 'making a table is refused');
SELECT lives_ok($$ SELECT tranche.create_sku('tv', 't', 1, 'EUR', 5, 1, 60, NULL, NULL, 1, 'test') $$);
SELECT lives_ok($$ SELECT * FROM tranche.verify_ledger('') $$);
RESET ROLE;

-- Servers from before 0005 read these by position: as long as some may run beside new ones, columns stay where they were.
SELECT results_eq($$
  SELECT p.proname::text COLLATE "C", string_agg(a.attname::text COLLATE "default", ' ' ORDER BY a.attnum)
  FROM pg_proc p JOIN pg_type t ON t.oid = p.prorettype JOIN pg_attribute a ON a.attrelid = t.typrelid AND a.attnum > 0
  WHERE p.pronamespace = 'tranche'::regnamespace AND t.typname ~ '_answer$' GROUP BY p.proname ORDER BY p.proname $$,
  $$ SELECT x.name COLLATE "C", replace(replace(replace(x.columns, 'ROW', 'FIRST order_reference group_id'), 'FIRST', 'reservation_id sku_id user_id quantity state amount_minor'
              || ' currency incarnation_id created_us expires_us finished_us payment_reference cancel_reason extensions'
              || ' revision rebooked_from'),
            'CLAIM', 'idx outcome state amount_minor currency incarnation_id created_us expires_us slice_version finished_us'
              || ' payment_reference cancel_reason extensions revision rebooked_from')
     FROM (VALUES ('cancel_reservations', 'idx outcome bound ROW'), ('commit_cart', 'committed CLAIM'),
                  ('commit_reservations', 'CLAIM'), ('confirm_late', 'outcome replayed ROW'),
                   ('confirm_late_member', 'outcome replayed ROW'), ('confirm_reservations', 'idx outcome bound ROW'), ('confirm_retired', 'outcome replayed ROW'),
                   ('extend_reservations', 'idx outcome bound ROW'), ('join_groups', 'CLAIM'), ('leave_groups', 'idx outcome bound ROW'),
                   ('list_reservations', 'FIRST ordinal lapsed order_reference group_id'), ('pay_group_seats', 'idx outcome bound ROW'),
                  ('refuse_claims', 'idx outcome bound ROW')
          ) AS x (name, columns) $$);

-- Keys compare by bytes.
SELECT is_empty($$
  SELECT a.attrelid::regclass, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
  WHERE c.relnamespace = 'tranche'::regnamespace AND c.relkind = 'r' AND a.attname IN ('sku_id', 'user_id')
    AND a.attcollation <> 'pg_catalog."C"'::regcollation $$,
  'SKU and user ids are COLLATE "C" in every table');

-- Sales stay on their page: no index holds a column that they change.
SELECT is_empty($$
  SELECT i.indexrelid::regclass FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
  WHERE i.indrelid = 'tranche.stock_slot'::regclass AND a.attname IN ('allotted', 'remaining', 'version') $$,
  'slots are updated in place (HOT)');

-- A reservation's states.
SELECT tranche.move_units('tv', ARRAY[tranche.register_incarnation('n', 'h:1')], ARRAY[5], NULL, 'test');
SELECT is(outcomes(1, true, uids(1, 2, 3), '{tv,tv,tv}', '{u1,u2,u3}', '{1,1,1}'), '{CREATED,CREATED,CREATED}');
UPDATE tranche.reservation
SET state = x.state, finished_at = now(), payment_reference = CASE WHEN x.state = 'CONFIRMED' THEN 'p' END
FROM (VALUES (uid(1), 'CONFIRMED'), (uid(2), 'CANCELLED'), (uid(3), 'EXPIRED')) AS x (id, state) WHERE reservation_id = x.id;
SELECT throws_ok(format($$ UPDATE tranche.reservation SET state = %L, finished_at = %s, payment_reference = %s
                           WHERE reservation_id = %L $$, s,
                        CASE WHEN s = 'PENDING' THEN 'NULL' ELSE 'now()' END,
                        CASE WHEN s = 'CONFIRMED' THEN '''p''' ELSE 'NULL' END, r.reservation_id),
                 'TR003', format('reservation %s is %s: that is final', r.reservation_id, r.state), r.state || ' to ' || s)
FROM tranche.reservation r, unnest(ARRAY['PENDING', 'CONFIRMED', 'CANCELLED', 'EXPIRED']) AS s
WHERE r.state <> s;
SELECT lives_ok($$ UPDATE tranche.reservation SET revision = revision + 1 $$, 'the rest may change');
SELECT throws_ok($$ UPDATE tranche.reservation SET finished_at = NULL WHERE reservation_id = uid(1) $$, '23514');
SELECT throws_ok($$ UPDATE tranche.reservation SET payment_reference = NULL WHERE reservation_id = uid(1) $$, '23514');

SELECT * FROM finish();
