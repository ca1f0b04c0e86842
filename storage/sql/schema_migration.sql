-- The migrator's own bookkeeping; runs first in its transaction, and blocks other migrators until that ends.
SELECT pg_advisory_xact_lock(hashtextextended('tranche.schema_migration', 0));
CREATE SCHEMA IF NOT EXISTS tranche;
CREATE TABLE IF NOT EXISTS tranche.schema_migration (
  name       text PRIMARY KEY,
  kind       text NOT NULL CHECK (kind IN ('migration', 'procedure')),
  md5        text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now()
);

-- The schema's version: the number of the newest migration that was applied.
CREATE OR REPLACE FUNCTION tranche.schema_version()
RETURNS integer
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
  SELECT coalesce(max(substring(m.name FROM '^[0-9]+')::integer), 0) FROM schema_migration m WHERE m.kind = 'migration'
$$;

-- Lets a migrator begin that knows these migrations, and no other one that was applied. An older one would replace newer
-- procedures by its own.
CREATE OR REPLACE FUNCTION tranche.begin_migration(p_known text[])
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
DECLARE
  v_unknown text;
BEGIN
  -- Ids and titles are whatever characters callers send, and the clients speak UTF-8.
  IF current_setting('server_encoding') <> 'UTF8' THEN
    RAISE EXCEPTION 'its encoding is %; create it with ENCODING ''UTF8'' TEMPLATE template0',
      current_setting('server_encoding') USING ERRCODE = 'TR002';
  END IF;
  SELECT string_agg(m.name, ', ' ORDER BY m.name) INTO v_unknown
  FROM schema_migration m WHERE m.kind = 'migration' AND m.name <> ALL (p_known);
  IF v_unknown IS NOT NULL THEN
    RAISE EXCEPTION 'this tranche-migrate is too old: it does not know what was applied there (%)', v_unknown
      USING ERRCODE = 'TR002', HINT = 'Run the tranche-migrate of the newer version.';
  END IF;
  PERFORM set_config('tranche.schema_version', max(substring(k.name FROM '^[0-9]+')), true)
  FROM unnest(p_known) AS k (name);
END
$$;

-- Migrators from before begin_migration ask nobody. They replace record_migration by their own, but they write to the table
-- before they touch a procedure.
CREATE OR REPLACE FUNCTION tranche.refuse_older_migrator()
RETURNS trigger
LANGUAGE plpgsql
SET search_path = tranche, pg_temp
AS $$
BEGIN
  IF coalesce(nullif(current_setting('tranche.schema_version', true), '')::integer, 0) < schema_version() THEN
    RAISE EXCEPTION 'this tranche-migrate is too old: the schema is of version %', schema_version()
      USING ERRCODE = 'TR002', HINT = 'Run the tranche-migrate of the newer version.';
  END IF;
  RETURN NEW;
END
$$;
CREATE OR REPLACE TRIGGER refuse_older_migrator BEFORE INSERT OR UPDATE ON tranche.schema_migration
FOR EACH ROW EXECUTE FUNCTION tranche.refuse_older_migrator();

-- For a migrator that has no migration to apply: are the procedures that are there its own? If one has another text, another
-- build of the same schema version made it, and nobody can tell which of the two is the newer one.
CREATE OR REPLACE FUNCTION tranche.check_procedures(p_names text[], p_texts text[])
RETURNS void
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
DECLARE
  v_others text;
BEGIN
  SELECT string_agg(m.name, ', ' ORDER BY m.name) INTO v_others
  FROM schema_migration m JOIN unnest(p_names, p_texts) AS k (name, text) ON k.name = m.name
  WHERE m.kind = 'procedure' AND m.md5 <> md5(k.text);
  IF v_others IS NOT NULL THEN
    RAISE EXCEPTION 'another build of schema version % made some procedures there (%): run the tranche-migrate of the newer of the two builds, with --replace-procedures on',
      schema_version(), CASE WHEN length(v_others) > 200 THEN left(v_others, 200) || '...' ELSE v_others END
      USING ERRCODE = 'TR002';
  END IF;
END
$$;

-- Notes that the caller now applies the file. 'APPLY': it is new, or a procedure whose text has changed; 'SKIP': it was
-- applied with this text; 'CHANGED': a migration that was applied with another text.
CREATE OR REPLACE FUNCTION tranche.record_migration(p_name text, p_kind text, p_text text)
RETURNS text
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
  v_md5 text;
BEGIN
  SELECT md5 INTO v_md5 FROM tranche.schema_migration WHERE name = p_name;
  IF v_md5 = md5(p_text) THEN
    RETURN 'SKIP';
  ELSIF v_md5 IS NOT NULL AND p_kind = 'migration' THEN
    RETURN 'CHANGED';
  END IF;
  INSERT INTO tranche.schema_migration (name, kind, md5) VALUES (p_name, p_kind, md5(p_text))
  ON CONFLICT (name) DO UPDATE SET md5 = excluded.md5, applied_at = now();
  RETURN 'APPLY';
END
$$;
