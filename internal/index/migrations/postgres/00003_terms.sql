-- +goose Up
-- term is how often the lease has changed hands, so that what was begun under an earlier one is refused.
ALTER TABLE lease ADD COLUMN term BIGINT NOT NULL DEFAULT 1;
