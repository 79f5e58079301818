-- term is how often the lease has changed hands, so that what was begun under an earlier one is refused.
ALTER TABLE lease ADD COLUMN term BIGINT NOT NULL DEFAULT 1;

-- The planner keeps samples of columns for itself, of which nobody could be forgotten. TYPE drops those
-- that there are.
ALTER TABLE message ALTER COLUMN person TYPE BYTEA, ALTER COLUMN person SET STATISTICS 0; -- PostgreSQL
ALTER TABLE message ALTER COLUMN provider_id TYPE TEXT, ALTER COLUMN provider_id SET STATISTICS 0; -- PostgreSQL
ALTER TABLE batch ALTER COLUMN about TYPE BYTEA, ALTER COLUMN about SET STATISTICS 0; -- PostgreSQL
ALTER TABLE suppression ALTER COLUMN value TYPE BYTEA, ALTER COLUMN value SET STATISTICS 0; -- PostgreSQL
