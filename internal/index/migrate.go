package index

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
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

func (d *database) provider() (*goose.Provider, error) {
	dialect, folder := goose.DialectSQLite3, "sqlite"
	o := []goose.ProviderOption{goose.WithTableName(versions), goose.WithDisableGlobalRegistry(true)}
	if d.postgres {
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockID(migrateLock))
		if err != nil {
			return nil, fmt.Errorf("index: %w", err)
		}
		dialect, folder = goose.DialectPostgres, "postgres"
		o = append(o, goose.WithSessionLocker(locker))
	}
	files, err := fs.Sub(migrations, "migrations/"+folder)
	if err != nil {
		return nil, fmt.Errorf("index: %w", err)
	}
	p, err := goose.NewProvider(dialect, d.write, files, o...)
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
