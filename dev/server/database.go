package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	sqliteschema "go.temporal.io/server/schema/sqlite"
	"google.golang.org/protobuf/types/known/durationpb"

	"volley/starter"
)

// ErrInUse: another process, or another Server of this one, has the database.
var ErrInUse = errors.New("the database is in use")

// ErrVersion: the database was made by another version of the Temporal server,
// which does not migrate SQLite files.
var ErrVersion = errors.New("the database was made by another version of the Temporal server")

// database is where a server keeps its state. With SQLite, executions and
// visibility have a file each: it has one writer a file, and lists need not wait
// for sends. unlock gives it free; nil where nothing holds it.
type database struct {
	main, visibility *config.SQL
	shards           int32
	unlock           func() error
}

func openDatabase(o Options) (*database, error) {
	switch {
	case o.DB != "" && o.Postgres != "":
		return nil, errors.New("database: a file and a PostgreSQL database are named, one of them is expected")
	case o.Postgres != "":
		return openPostgres(o)
	}
	return openSQLite(o.DB)
}

func openSQLite(path string) (*database, error) {
	if path == "" {
		name := "volley-" + uuid.NewString()
		return &database{main: inMemory(name), visibility: inMemory(name + "-visibility"), shards: sqliteShards}, nil
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	unlock, err := lock(path + ".lock")
	if err != nil {
		return nil, fmt.Errorf("database %s: %w", path, err)
	}
	d := &database{main: inFile(path), visibility: inFile(path + ".visibility"), shards: sqliteShards, unlock: unlock}
	if err := d.prepare(path); err != nil {
		return nil, errors.Join(fmt.Errorf("database %s: %w", path, err), d.close())
	}
	return d, nil
}

// prepare makes the files or checks those that are there. The main file appears
// last and complete, so whoever finds it finds everything.
func (d *database) prepare(path string) error {
	if _, err := os.Stat(path); err == nil {
		return check(path)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, p := range []string{path + ".visibility", path} {
		if err := build(p); err != nil {
			return fmt.Errorf("create: %w", err)
		}
		if p == path {
			break
		}
		if err := writeVersion(path); err != nil {
			return err
		}
	}
	return nil
}

// build makes a file with the schema under another name first: a process that
// is killed meanwhile must not leave half a schema behind.
func build(path string) error {
	fresh := fmt.Sprintf("%s.%s.new", path, uuid.NewString())
	cfg := inFile(fresh)
	cfg.ConnectAttributes["journal_mode"] = "delete"
	defer func() { _ = os.Remove(fresh) }()
	if err := sqliteschema.SetupSchema(cfg); err != nil {
		return err
	}
	for _, left := range []string{"-wal", "-shm"} {
		if err := os.Remove(path + left); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := os.Chmod(fresh, 0o600); err != nil { // -wal and -shm follow it
		return err
	}
	return os.Rename(fresh, path)
}

func check(path string) error {
	made, err := readVersion(path)
	if err != nil {
		return err
	}
	if minor(made) != minor(Version()) {
		return fmt.Errorf("%w: it is of %s, this one is %s, and SQLite files are not migrated; "+
			"use another file, or remove this one and %s to start over",
			ErrVersion, made, Version(), path+".visibility")
	}
	if _, err := os.Stat(path + ".visibility"); err != nil {
		return fmt.Errorf("the file that belongs to it is missing: %w; put it back, or remove %s to start over", err, path)
	}
	return nil
}

type versionFile struct {
	TemporalServer string `json:"temporalServer"`
}

func writeVersion(path string) error {
	b, err := json.Marshal(versionFile{TemporalServer: Version()})
	if err != nil {
		return err
	}
	return os.WriteFile(path+".version", append(b, '\n'), 0o600)
}

func readVersion(path string) (string, error) {
	b, err := os.ReadFile(path + ".version")
	if err != nil {
		return "", fmt.Errorf("it cannot be told which server made it: %w", err)
	}
	var v versionFile
	if err := json.Unmarshal(b, &v); err != nil || v.TemporalServer == "" {
		return "", fmt.Errorf("it cannot be told which server made it: %s.version is not readable", path)
	}
	return v.TemporalServer, nil
}

// minor is the part of a version within which the schema does not change.
func minor(version string) string {
	parts := strings.SplitN(version, ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}

// createNamespace adds the namespace to the database when it is not there, so
// that the server knows it from its first moment.
func (d *database) createNamespace(name string, retention time.Duration) error {
	ns, err := sqliteschema.NewNamespaceConfig(clusterName, name, false, starter.Attributes())
	if err != nil {
		return err
	}
	ns.Detail.Config.Retention = durationpb.New(retention)
	return sqliteschema.CreateNamespaces(d.main, ns)
}

func (d *database) close() error {
	if d.unlock == nil {
		return nil
	}
	err := d.unlock()
	d.unlock = nil
	return err
}

func inMemory(name string) *config.SQL {
	return &config.SQL{
		PluginName:        sqlite.PluginName,
		DatabaseName:      name,
		ConnectAttributes: map[string]string{"mode": "memory", "cache": "shared"},
	}
}

// inFile is a database that outlives the process. A commit is on disk before it
// is answered (synchronous=full): after a power cut, an attempt that had left
// must not be forgotten and made again.
func inFile(path string) *config.SQL {
	return &config.SQL{
		PluginName:   sqlite.PluginName,
		DatabaseName: path,
		ConnectAttributes: map[string]string{
			"mode":         "rwc",
			"cache":        "private",
			"journal_mode": "wal",
			"synchronous":  "2",
			"busy_timeout": "10000",
		},
	}
}
