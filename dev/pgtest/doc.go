// Package pgtest runs a PostgreSQL server of a test's own: a new cluster in a directory
// that goes with it, on a free port of 127.0.0.1, without a password. It uses the
// programs that are installed, of the PATH or of Debian's packages, and promises nothing
// of what outlives a crash of the machine.
package pgtest
