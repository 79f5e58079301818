package index

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations
var migrations embed.FS

const (
	// versions is the table of the migrations that were made.
	versions = "volley_index_version"
	// migrateTries is how often a migration is tried that another process may be making.
	migrateTries = 5
	migratePause = 200 * time.Millisecond
	// migrateLock is the number of the advisory lock that migrations hold in PostgreSQL.
	migrateLock = 0x766f6c6c6579
)

// forSQLite makes SQLite's statements out of those of PostgreSQL, in which the migrations are
// written: rows of SQLite hold their id anyway, and its tables without one say so behind a
// comment's mark.
var forSQLite = strings.NewReplacer( //nolint:gochecknoglobals // a constant
	"BIGINT", "INTEGER", "BYTEA", "BLOB", " GENERATED ALWAYS AS IDENTITY", "", ", id) WHERE", ") WHERE", "); -- WITHOUT ROWID", ") WITHOUT ROWID;",
)

// postgresOnly ends lines that SQLite passes by.
const postgresOnly = " -- PostgreSQL\n"

// migrationsOf are the migrations as a database takes them.
func migrationsOf(postgres bool) (all []*goose.Migration, err error) {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		version, err := goose.NumericComponent(name)
		if err != nil {
			return nil, err
		}
		raw, err := migrations.ReadFile(name)
		if err != nil {
			return nil, err
		}
		var text strings.Builder
		for line := range strings.Lines(string(raw)) {
			if postgres || !strings.HasSuffix(line, postgresOnly) {
				text.WriteString(line)
			}
		}
		statements := text.String()
		if !postgres {
			statements = forSQLite.Replace(statements)
		}
		all = append(all, goose.NewGoMigration(version, &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, statements)
			return err
		}}, nil))
	}
	return all, nil
}

func (d *database) provider() (*goose.Provider, error) {
	all, err := migrationsOf(d.postgres)
	if err != nil {
		return nil, fmt.Errorf("index: %w", err)
	}
	dialect := goose.DialectSQLite3
	o := []goose.ProviderOption{goose.WithTableName(versions), goose.WithDisableGlobalRegistry(true), goose.WithGoMigrations(all...)}
	if d.postgres {
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockID(migrateLock))
		if err != nil {
			return nil, fmt.Errorf("index: %w", err)
		}
		dialect = goose.DialectPostgres
		o = append(o, goose.WithSessionLocker(locker))
	}
	p, err := goose.NewProvider(dialect, d.write, nil, o...)
	if err != nil {
		return nil, fmt.Errorf("index: %w", err)
	}
	return p, nil
}

// migrate makes the tables, or brings them up to date. SQLite has no lock over several
// transactions: who finds that another process was faster looks again.
func (d *database) migrate(ctx context.Context) error {
	for try := 1; ; try++ {
		err := d.migrateOnce(ctx)
		if err == nil || try == migrateTries || d.postgres || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(migratePause):
		}
	}
}

func (d *database) migrateOnce(ctx context.Context) error {
	p, err := d.provider()
	if err != nil {
		return err
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("index: bring its tables up to date: %w", d.failure(ctx, err))
	}
	return nil
}

// version is how many migrations were made; newest is how many this program knows.
func (d *database) version(ctx context.Context) (made, newest int64, err error) {
	p, err := d.provider()
	if err != nil {
		return 0, 0, err
	}
	made, newest, err = p.GetVersions(ctx)
	return made, newest, d.failure(ctx, err)
}
