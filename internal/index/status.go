package index

import (
	"context"
	"os"
)

// Status says how large the index is and how far it goes.
func (x *Index) Status(ctx context.Context) (Status, error) {
	s := Status{Kind: "sqlite", Path: x.db.path, Encrypted: x.o.Keys != nil, Plain: x.o.Keys == nil}
	if x.db.postgres {
		s.Kind = "postgres"
	}
	var err error
	if s.Schema, s.Newest, err = x.db.version(ctx); err != nil {
		return s, err
	}
	err = x.db.look(ctx, func(t *tx) error {
		var oldest, asOf *int64
		if _, err := t.one("SELECT count(*), coalesce(sum(messages), 0), coalesce(sum(1 - closed), 0), min(created), max(as_of) FROM batch", nil, &s.Batches, &s.Messages, &s.Open, &oldest, &asOf); err != nil {
			return err
		}
		s.Oldest, s.AsOf = atOrNil(oldest), atOrNil(asOf)
		if _, err := t.one("SELECT count(*) FROM audit", nil, &s.Audit); err != nil {
			return err
		}
		if s.Encrypted {
			var err error
			if s.Plain, err = t.wasPlain(x.o.Now().Add(-x.o.StatsRetention)); err != nil {
				return err
			}
		}
		if !x.db.postgres {
			return nil
		}
		_, err := t.one("SELECT pg_database_size(current_database())", nil, &s.Bytes)
		return err
	})
	if x.db.path != "" && err == nil {
		for _, name := range []string{x.db.path, x.db.path + "-wal"} {
			if info, err := os.Stat(name); err == nil {
				s.Bytes += info.Size()
			}
		}
	}
	return s, err
}

// Path is the file of an index in SQLite; empty of PostgreSQL.
func (x *Index) Path() string { return x.db.path }
