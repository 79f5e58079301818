package index

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

const (
	// busyWait is how long a process waits for others that write to the same file.
	busyWait = 10 * time.Second
	// dialWait is how long a connection to PostgreSQL may take.
	dialWait = 5 * time.Second
	// connections are those to PostgreSQL, and those that read a file.
	connections = 8
	// fileCache is how much of a file each connection keeps in memory, in KiB.
	fileCache = 64 << 10
)

// database is SQLite in a file or PostgreSQL. A file has one connection that writes, so
// that writers of this process take turns, and others that read meanwhile.
type database struct {
	write, read *sql.DB
	postgres    bool
	// path is the file; empty is PostgreSQL.
	path string
}

func openDatabase(ctx context.Context, address string) (*database, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("index: the address cannot be read") // it may hold a password
	}
	switch u.Scheme {
	case "sqlite":
		return openFile(ctx, u.Path)
	case "postgres", "postgresql":
		return openPostgres(address)
	}
	return nil, fmt.Errorf("index: an address begins with sqlite:// or postgres://, not %q", u.Scheme)
}

func openFile(ctx context.Context, path string) (*database, error) {
	if err := refuseNetwork(path); err != nil {
		return nil, err
	}
	// It names people, so nobody else reads it. SQLite gives its other files the same mode.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	file := func(more ...string) string {
		q := url.Values{"_pragma": append(more,
			"busy_timeout("+strconv.FormatInt(busyWait.Milliseconds(), 10)+")", "journal_mode(wal)", "synchronous(normal)", "wal_autocheckpoint(8000)", "cache_size(-"+strconv.Itoa(fileCache)+")",
		)}
		q.Set("_txlock", "immediate")
		return (&url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}).String()
	}
	d := &database{path: path}
	if d.write, err = sql.Open("sqlite", file()); err != nil {
		return nil, fmt.Errorf("index: %w", err)
	}
	d.write.SetMaxOpenConns(1)
	if d.read, err = sql.Open("sqlite", file("query_only(1)")); err != nil {
		return nil, errors.Join(fmt.Errorf("index: %w", err), d.write.Close())
	}
	d.read.SetMaxOpenConns(connections)
	if err := d.write.PingContext(ctx); err != nil {
		return nil, errors.Join(d.failure(ctx, err), d.close())
	}
	return d, nil
}

func openPostgres(address string) (*database, error) {
	c, err := pgx.ParseConfig(address)
	if err != nil {
		return nil, errors.New("index: the address of PostgreSQL cannot be read")
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = dialWait
	}
	if c.RuntimeParams["application_name"] == "" {
		c.RuntimeParams["application_name"] = "volley"
	}
	pool := stdlib.OpenDB(*c)
	pool.SetMaxOpenConns(connections)
	pool.SetMaxIdleConns(connections)
	pool.SetConnMaxIdleTime(time.Minute)
	return &database{write: pool, read: pool, postgres: true}, nil
}

func (d *database) close() error {
	if d.postgres {
		return d.write.Close()
	}
	return errors.Join(d.read.Close(), d.write.Close()) // the last one to close takes in the log
}

// failure says whether an error of a driver means that the database is away.
func (d *database) failure(ctx context.Context, err error) error {
	var lite *sqlite.Error
	var pg *pgconn.PgError
	switch {
	case err == nil, errors.Is(err, ErrInvalid), errors.Is(err, ErrKeys), errors.Is(err, ErrLease), errors.Is(err, ErrMoved), errors.Is(err, ErrUnavailable), errors.Is(err, errFault):
		return err
	case errors.Is(ctx.Err(), context.Canceled):
		return ctx.Err()
	case ctx.Err() != nil:
		return fmt.Errorf("%w in time: %w", ErrUnavailable, ctx.Err())
	case errors.As(err, &pg):
		if len(pg.Code) == 5 {
			switch pg.Code[:2] { // connection, resources, an operator, the system, who may
			case "08", "53", "57", "58", "28":
				return fmt.Errorf("%w: %s", ErrUnavailable, pg.Message)
			}
		}
		return fmt.Errorf("index: SQLSTATE %s: %s", pg.Code, pg.Message) // its detail may repeat values
	case errors.As(err, &lite):
		switch lite.Code() & 0xff {
		case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN,
			sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_PERM:
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		return fmt.Errorf("index: %w", err)
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err) // a connection's
}

// tx is a transaction that writes, or, of SQLite outside of one, a connection that reads.
type tx struct {
	ctx      context.Context
	q        querier
	postgres bool
	// prepared are the statements of again.
	prepared map[string]*sql.Stmt
}

// querier is an *sql.Tx or an *sql.DB.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
}

// change runs do in a transaction, and undoes it where do returns an error.
func (d *database) change(ctx context.Context, do func(*tx) error) error {
	t, err := d.write.BeginTx(ctx, nil)
	if err != nil {
		return d.failure(ctx, err)
	}
	if err := do(&tx{ctx: ctx, q: t, postgres: d.postgres, prepared: map[string]*sql.Stmt{}}); err != nil {
		_ = t.Rollback() // the first error says more
		return d.failure(ctx, err)
	}
	return d.failure(ctx, t.Commit())
}

// look runs do on what was committed. Each of its queries sees the newest.
func (d *database) look(ctx context.Context, do func(*tx) error) error {
	return d.failure(ctx, do(&tx{ctx: ctx, q: d.read, postgres: d.postgres}))
}

// exec runs a statement with ? for parameters and says how many rows it met.
func (t *tx) exec(query string, args ...any) (int64, error) {
	r, err := t.q.ExecContext(t.ctx, t.bound(query), args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// again runs a statement that the transaction repeats; it ends with it.
func (t *tx) again(query string, args []any) error {
	if t.postgres { // its driver keeps statements by itself
		_, err := t.exec(query, args...)
		return err
	}
	s := t.prepared[query]
	if s == nil {
		var err error
		if s, err = t.q.PrepareContext(t.ctx, query); err != nil {
			return err
		}
		t.prepared[query] = s
	}
	_, err := s.ExecContext(t.ctx, args...)
	return err
}

// each calls scan for every row of a query.
func (t *tx) each(query string, args []any, scan func(row *sql.Rows) error) (err error) {
	rows, err := t.q.QueryContext(t.ctx, t.bound(query), args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// one scans the first row of a query; false is that there is none.
func (t *tx) one(query string, args []any, into ...any) (found bool, err error) {
	err = t.each(query, args, func(row *sql.Rows) error {
		if found {
			return nil
		}
		found = true
		return row.Scan(into...)
	})
	return found, err
}

// bound writes the parameters as the database has them. No query has a ? in a text.
func (t *tx) bound(query string) string {
	if !t.postgres {
		return query
	}
	var b strings.Builder
	n := 0
	for {
		before, after, ok := strings.Cut(query, "?")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		n++
		b.WriteString("$" + strconv.Itoa(n))
		query = after
	}
}

// list writes numbers for an IN; they need no escaping.
func list(ids []int64) string {
	b := make([]byte, 0, 12*len(ids))
	for i, id := range ids {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, id, 10)
	}
	return string(b)
}
