-- Runs last of the procedures: the application role may execute what is above, and nobody else. The migrator's own
-- function is not for it.
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA tranche FROM PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA tranche TO tranche_app;
REVOKE EXECUTE ON FUNCTION tranche.record_migration(text, text, text) FROM tranche_app;
