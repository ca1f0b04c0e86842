-- Remembers what this database holds, so that the next test can have it as it was: a copy of the template takes ten times as
-- long to make and to drop. Run once, by a superuser; from then on saved_state.restore() brings it back.

CREATE SCHEMA saved_state;

-- Our tables and sequences.
CREATE VIEW saved_state.watched AS
SELECT c.oid::regclass AS relation, c.relkind
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'S') AND n.nspname NOT IN ('saved_state', 'information_schema') AND n.nspname !~ '^pg_';

-- Tables that hold rows from the start, with a copy of them. The other ones are empty.
CREATE TABLE saved_state.seeded (relation regclass NOT NULL, copy regclass NOT NULL);
CREATE TABLE saved_state.sequence (relation regclass NOT NULL, last_value bigint NOT NULL, is_called boolean NOT NULL);
CREATE TABLE saved_state.schema_mark (mark text NOT NULL);

DO $$
DECLARE
  v_relation regclass;
  v_seeded boolean;
  v_copy text;
BEGIN
  FOR v_relation IN SELECT w.relation FROM saved_state.watched w WHERE w.relkind = 'r' LOOP
    EXECUTE format('SELECT EXISTS (SELECT FROM %s)', v_relation) INTO v_seeded;
    CONTINUE WHEN NOT v_seeded;
    v_copy := format('saved_state.%I', v_relation::text);
    EXECUTE format('CREATE TABLE %s AS TABLE %s', v_copy, v_relation);
    INSERT INTO saved_state.seeded VALUES (v_relation, v_copy::regclass);
  END LOOP;
  FOR v_relation IN SELECT w.relation FROM saved_state.watched w WHERE w.relkind = 'S' LOOP
    EXECUTE format('INSERT INTO saved_state.sequence SELECT %L::regclass, s.last_value, s.is_called FROM %s s',
                   v_relation, v_relation);
  END LOOP;
END $$;

-- Changes with every change of the schema, of rights, or of settings for this database. xmin and ctid of a catalog's row
-- are others after each change of it; those of pg_class would be after a TRUNCATE, too.
CREATE FUNCTION saved_state.mark_of_schema() RETURNS text LANGUAGE sql STABLE AS $$
  SELECT md5(string_agg(o.line, E'\n' ORDER BY o.line COLLATE "C"))
    FROM (
      SELECT format('relation %s %s %s %s', c.oid, c.relname, c.relacl, c.reloptions) FROM pg_class c WHERE c.oid >= 16384
      UNION ALL
      SELECT format('column %s %s %s', a.attrelid, a.xmin, a.ctid) FROM pg_attribute a WHERE a.attrelid >= 16384
      UNION ALL
      SELECT format('constraint %s %s %s', k.oid, k.xmin, k.ctid) FROM pg_constraint k WHERE k.oid >= 16384
      UNION ALL
      SELECT format('trigger %s %s %s', t.oid, t.xmin, t.ctid) FROM pg_trigger t WHERE t.oid >= 16384
      UNION ALL
      SELECT format('function %s %s %s', p.oid, p.xmin, p.ctid) FROM pg_proc p WHERE p.oid >= 16384
      UNION ALL
      SELECT format('settings %s %s', s.setrole, s.setconfig)
        FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
       WHERE d.datname = current_database()
    ) AS o(line)
$$;

-- Nobody else is connected. Tables that somebody has written to are emptied, as new ones are: without dead rows.
CREATE FUNCTION saved_state.restore() RETURNS void LANGUAGE plpgsql SET session_replication_role = replica AS $$
DECLARE
  v_table record;
  v_changed boolean;
  v_all regclass[] := '{}';
BEGIN
  IF (SELECT m.mark FROM saved_state.schema_mark m) IS DISTINCT FROM saved_state.mark_of_schema() THEN
    RAISE EXCEPTION 'a test has changed the schema or the settings of %, and did not say so', current_database();
  END IF;
  FOR v_table IN
    SELECT w.relation, s.copy
      FROM saved_state.watched w LEFT JOIN saved_state.seeded s ON s.relation = w.relation
     WHERE w.relkind = 'r'
  LOOP
    IF v_table.copy IS NULL THEN
      v_changed := pg_relation_size(v_table.relation) > 0;
    ELSE
      EXECUTE format('SELECT EXISTS ((SELECT old_row::text FROM %1$s old_row EXCEPT ALL SELECT new_row::text FROM %2$s new_row)
                                     UNION ALL
                                     (SELECT new_row::text FROM %2$s new_row EXCEPT ALL SELECT old_row::text FROM %1$s old_row))',
                     v_table.copy, v_table.relation)
        INTO v_changed;
    END IF;
    IF v_changed THEN
      v_all := v_all || v_table.relation;
    END IF;
  END LOOP;
  IF cardinality(v_all) > 0 THEN
    EXECUTE format('TRUNCATE %s CASCADE', array_to_string(v_all, ', '));
  END IF;
  FOR v_table IN SELECT s.relation, s.copy FROM saved_state.seeded s LOOP
    EXECUTE format('INSERT INTO %1$s OVERRIDING SYSTEM VALUE SELECT c.* FROM %2$s c WHERE NOT EXISTS (SELECT FROM %1$s)',
                   v_table.relation, v_table.copy);
  END LOOP;
  PERFORM setval(s.relation, s.last_value, s.is_called) FROM saved_state.sequence s;
END $$;

INSERT INTO saved_state.schema_mark VALUES (saved_state.mark_of_schema());
