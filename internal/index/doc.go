// Package index keeps a read model in SQL of every batch and message, of what was done by
// whom, and of who wants no messages. It answers what Temporal cannot: who, across batches,
// why, how well.
//
// It is optional. Nothing of it is the truth about a message: no workflow reads it, and
// but for suppressions and the audit it can be made anew from Temporal and the store.
// Suppressions are the one part that sending waits for.
//
// SQLite in a file serves one host, PostgreSQL any number of them.
package index
