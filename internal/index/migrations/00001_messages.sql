-- Times are Unix ms, and null where they are not known.

-- What belongs to the database as a whole; see people.go.
CREATE TABLE setting (name TEXT PRIMARY KEY, value BYTEA NOT NULL); -- WITHOUT ROWID

-- n begins with the second in which the batch was made, so that a higher one is newer. about
-- holds what may name people: it is sealed where encryption is on.
CREATE TABLE batch (
	n BIGINT PRIMARY KEY,
	tenant TEXT NOT NULL, id TEXT NOT NULL, mark BIGINT NOT NULL,
	dialect TEXT NOT NULL, account TEXT NOT NULL, state TEXT NOT NULL, closed BIGINT NOT NULL, dispatch TEXT NOT NULL,
	total BIGINT NOT NULL, counts TEXT NOT NULL, redrive_of TEXT NOT NULL, about BYTEA NOT NULL,
	created BIGINT NOT NULL, send_after BIGINT, started BIGINT, finished BIGINT, next_due BIGINT, estimated_end BIGINT,
	rev BIGINT NOT NULL, as_of BIGINT NOT NULL,
	position_rev BIGINT NOT NULL DEFAULT 0, position_walk TEXT NOT NULL DEFAULT '', position_done BIGINT NOT NULL DEFAULT 0,
	-- messages is how many have a row, expired that their time is over, and idle when the batch ended,
	-- or when it was read last.
	messages BIGINT NOT NULL DEFAULT 0, expired BIGINT NOT NULL DEFAULT 0, idle BIGINT NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX batch_id ON batch (tenant, id);
CREATE INDEX batch_mark ON batch (mark);
CREATE INDEX batch_tenant ON batch (tenant, n);
CREATE INDEX batch_open ON batch (n) WHERE closed = 0;
CREATE INDEX batch_idle ON batch (idle);

CREATE TABLE metadata (batch BIGINT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (batch, name)); -- WITHOUT ROWID
CREATE INDEX metadata_value ON metadata (name, value, batch);

-- What many messages have in common, once.
CREATE TABLE label (
	id INTEGER GENERATED ALWAYS AS IDENTITY PRIMARY KEY, account TEXT NOT NULL, channel TEXT NOT NULL, country TEXT NOT NULL, state BIGINT NOT NULL, code TEXT NOT NULL
);
CREATE UNIQUE INDEX label_all ON label (account, channel, country, state, code);

-- id is 2^24 times the batch's n, and the message's index. recipient, reference and provider are keyed
-- hashes, and person has recipient, reference and detail in clear or sealed. The indexes begin with
-- the span of three days in which the batch was made, so that what is new is close together.
CREATE TABLE message (
	id BIGINT PRIMARY KEY, label INTEGER NOT NULL, attempts INTEGER NOT NULL, rev BIGINT NOT NULL,
	due BIGINT, sent BIGINT, ended BIGINT,
	recipient BIGINT, reference BIGINT, provider BIGINT, provider_id TEXT NOT NULL, person BYTEA NOT NULL
);
CREATE INDEX message_recipient ON message ((id >> 51), recipient, id) WHERE recipient IS NOT NULL;
CREATE INDEX message_reference ON message ((id >> 51), reference, id) WHERE reference IS NOT NULL;
CREATE INDEX message_provider ON message ((id >> 51), provider, id) WHERE provider IS NOT NULL;

-- Further addresses of recipients.
CREATE TABLE address (recipient BIGINT NOT NULL, message BIGINT NOT NULL, PRIMARY KEY (recipient, message)); -- WITHOUT ROWID
CREATE INDEX address_message ON address (message);

-- How many messages of a batch ended in a quarter of an hour (in Unix time; 0 is not yet), by label
-- and by how long they took from due to sent (see wait.go; -1 is not sent).
CREATE TABLE tally (
	quarter BIGINT NOT NULL, batch BIGINT NOT NULL, label INTEGER NOT NULL, wait INTEGER NOT NULL, n BIGINT NOT NULL,
	PRIMARY KEY (quarter, batch, label, wait)
); -- WITHOUT ROWID

-- sum tells a line from its repetition.
CREATE TABLE audit (
	n BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at BIGINT NOT NULL, sum BIGINT NOT NULL,
	action TEXT NOT NULL, result TEXT NOT NULL, actor TEXT NOT NULL, through TEXT NOT NULL, tenant TEXT NOT NULL, batch TEXT NOT NULL, line BYTEA NOT NULL
);
CREATE UNIQUE INDEX audit_at ON audit (at, sum);
CREATE INDEX audit_batch ON audit (batch) WHERE batch <> '';

CREATE TABLE lease (name TEXT PRIMARY KEY, owner TEXT NOT NULL, until BIGINT NOT NULL); -- WITHOUT ROWID
