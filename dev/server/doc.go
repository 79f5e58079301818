// Package server runs a Temporal server inside the process, with SQLite and
// the Web UI, so that Volley can be tried, tested and used on one machine with
// nothing but Go.
//
// The database is in memory or in files that survive kill -9 and a restart; for
// measurements it may also be a PostgreSQL server's.
// Limits that guard a shared cluster are raised and the fairness of task queues
// is on; Options.Stock leaves the server's own limits in place. Nothing is
// fetched from the network and nothing is reported to anyone.
package server
