package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/google/uuid"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/metrics"
	"go.temporal.io/server/common/persistence"
	"go.temporal.io/server/common/persistence/sql"
	"go.temporal.io/server/common/persistence/sql/sqlplugin"
	"go.temporal.io/server/common/persistence/sql/sqlplugin/postgresql"
	"go.temporal.io/server/common/resolver"
	"go.temporal.io/server/schema"
	postgresschema "go.temporal.io/server/schema/postgresql/v12"
)

// Each of the server's four services has a pool of its own for each of the two
// databases. Together they stay below PostgreSQL's default of 100 connections.
const (
	mainConns  = 16
	listsConns = 5
)

// postgresShards is how many shards a new PostgreSQL database has. It cannot be
// changed later.
const postgresShards = 4

// schemaOf is where the server's release keeps the schema of a PostgreSQL database.
const schemaOf = "postgresql/v12"

// simpleName is a database name that means the same with and without quotes.
var simpleName = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,50}$`)

// openPostgres makes the two databases with their schema, or checks those that are
// there.
func openPostgres(o Options) (*database, error) {
	to, err := postgresOf(o.Postgres)
	if err != nil {
		return nil, err
	}
	if o.Scratch {
		to.DatabaseName = "volley_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	}
	lists := *to
	to.MaxConns, to.MaxIdleConns = mainConns, mainConns
	lists.DatabaseName += "_visibility"
	lists.MaxConns, lists.MaxIdleConns = listsConns, listsConns
	d := &database{main: to, visibility: &lists, shards: postgresShards}
	if o.Scratch {
		d.unlock = func() error { return dropPostgres(to, &lists) }
	}
	for _, x := range []struct {
		cfg            *config.SQL
		files, version string
	}{
		{to, "temporal", postgresschema.Version},
		{&lists, "visibility", postgresschema.VisibilityVersion},
	} {
		if err := preparePostgres(x.cfg, path.Join(schemaOf, x.files), x.version); err != nil {
			return nil, errors.Join(fmt.Errorf("PostgreSQL database %s: %w", x.cfg.DatabaseName, err), d.close())
		}
	}
	return d, nil
}

// postgresOf reads postgres://user:password@host:port/name?sslmode=disable. What it
// says of itself in an error has no password.
func postgresOf(text string) (*config.SQL, error) {
	const form = "it is written postgres://user:password@host:port/name?sslmode=disable"
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" || u.Hostname() == "" {
		return nil, fmt.Errorf("PostgreSQL address: not a postgres URL; %s", form)
	}
	name := strings.TrimPrefix(u.Path, "/")
	if !simpleName.MatchString(name) {
		return nil, fmt.Errorf("PostgreSQL address: database %q: lower-case letters, digits and _ are expected, at most 51; %s", name, form)
	}
	port := u.Port()
	if port == "" {
		port = "5432"
	}
	password, _ := u.User.Password()
	c := &config.SQL{
		PluginName: postgresql.PluginNamePGX, DatabaseName: name, ConnectProtocol: "tcp",
		ConnectAddr: u.Hostname() + ":" + port, User: url.QueryEscape(u.User.Username()), Password: password,
		ConnectAttributes: map[string]string{},
	}
	for k, v := range u.Query() {
		c.ConnectAttributes[k] = v[len(v)-1]
	}
	return c, nil
}

// preparePostgres creates the database where it is not there, and its schema where
// that is not. The version is written last: a schema without one is half a schema.
func preparePostgres(c *config.SQL, files, version string) error {
	if err := withPostgres(c, "postgres", func(db sqlplugin.AdminDB) error { return db.CreateDatabase(c.DatabaseName) }); err != nil {
		return fmt.Errorf("create: %w", err)
	}
	return withPostgres(c, c.DatabaseName, func(db sqlplugin.AdminDB) error {
		tables, err := db.ListTables(c.DatabaseName)
		if err != nil {
			return err
		}
		if len(tables) == 0 {
			return buildPostgres(db, c.DatabaseName, files, version)
		}
		made, err := "", error(nil)
		if slices.Contains(tables, "schema_version") {
			made, err = db.ReadSchemaVersion(c.DatabaseName)
		}
		switch {
		case err != nil || made == "":
			return errors.New("it has tables, but no whole schema of a Temporal server; name another database, or drop this one")
		case made != version:
			return fmt.Errorf("%w: its schema is %s, this server's is %s; temporal-sql-tool can migrate it, or name another database",
				ErrVersion, made, version)
		}
		return nil
	})
}

func buildPostgres(db sqlplugin.AdminDB, name, files, version string) error {
	text, err := fs.ReadFile(schema.Assets(), path.Join(files, "schema.sql"))
	if err != nil {
		return err
	}
	statements, err := persistence.LoadAndSplitQueryFromReaders([]io.Reader{bytes.NewReader(text)})
	if err != nil {
		return err
	}
	for _, s := range statements {
		if err := db.Exec(s); err != nil {
			return fmt.Errorf("create its schema: %w", err)
		}
	}
	if err := db.CreateSchemaVersionTables(); err != nil {
		return err
	}
	return db.UpdateSchemaVersion(name, version, version)
}

// dropPostgres removes databases that nobody will ask for again.
func dropPostgres(all ...*config.SQL) error {
	var errs []error
	for _, c := range all {
		errs = append(errs, withPostgres(c, "postgres", func(db sqlplugin.AdminDB) error {
			return db.Exec(`DROP DATABASE IF EXISTS "` + c.DatabaseName + `" WITH (FORCE)`)
		}))
	}
	return errors.Join(errs...)
}

// withPostgres calls do with a connection to a database of the same server.
func withPostgres(c *config.SQL, name string, do func(sqlplugin.AdminDB) error) error {
	to := *c
	to.DatabaseName = name
	db, err := sql.NewSQLAdminDB(sqlplugin.DbKindUnknown, &to, resolver.NewNoopResolver(), log.NewNoopLogger(), metrics.NoopMetricsHandler)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	return do(db)
}
