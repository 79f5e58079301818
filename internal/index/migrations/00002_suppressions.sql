-- Who wants no messages. hash is a keyed hash of the recipient's normal form, and value the recipient
-- in clear or sealed, null once forgotten. An empty tenant is everybody's. seq is that of the last
-- change; one that was removed stays for readers, with the time.
CREATE TABLE suppression (
	tenant TEXT NOT NULL, hash BYTEA NOT NULL, value BYTEA, reason TEXT NOT NULL, source TEXT NOT NULL, actor TEXT NOT NULL,
	made BIGINT NOT NULL, until BIGINT, removed BIGINT, seq BIGINT NOT NULL,
	PRIMARY KEY (tenant, hash)
); -- WITHOUT ROWID
CREATE UNIQUE INDEX suppression_seq ON suppression (seq);
CREATE INDEX suppression_hash ON suppression (hash);

-- The one row is locked by whoever changes suppressions, so that a lower seq is never seen after a higher one.
CREATE TABLE suppression_change (one BIGINT PRIMARY KEY, last BIGINT NOT NULL);
INSERT INTO suppression_change (one, last) VALUES (1, 0);

-- Keyed hashes of recipients and references of a tenant, of which batches that were made until then keep
-- nothing.
CREATE TABLE forgotten (tenant TEXT NOT NULL, sum BIGINT NOT NULL, until BIGINT NOT NULL, PRIMARY KEY (tenant, sum)); -- WITHOUT ROWID
