-- The migrator's own bookkeeping; runs first in its transaction, and blocks other migrators until that ends.
SELECT pg_advisory_xact_lock(hashtextextended('tranche.schema_migration', 0));
CREATE SCHEMA IF NOT EXISTS tranche;
CREATE TABLE IF NOT EXISTS tranche.schema_migration (
  name       text PRIMARY KEY,
  kind       text NOT NULL CHECK (kind IN ('migration', 'procedure')),
  md5        text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now()
);

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
