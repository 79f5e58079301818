package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/headers"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/membership/static"
	"go.temporal.io/server/common/primitives"
	"go.temporal.io/server/temporal"
	"go.uber.org/zap"
)

const (
	host = "127.0.0.1"

	// DefaultNamespace is the namespace that is there when Options name none.
	DefaultNamespace = "default"
	// DefaultRetention is how long closed workflows are kept.
	DefaultRetention = 7 * 24 * time.Hour

	readyTimeout = 60 * time.Second
)

// Options configure a Server. The zero value is a server in memory on free
// ports, without the Web UI.
type Options struct {
	// DB is the path of the database file; empty keeps everything in memory. Two
	// more files stand beside it: PATH.visibility (what lists are read from) and
	// PATH.version, and PATH.lock while a process uses it.
	DB string
	// Postgres keeps everything in a PostgreSQL server (13 or later) instead:
	// postgres://user:password@host:port/name?sslmode=disable. The databases name and
	// name_visibility are created where they are not there, which takes a user that
	// may; one Server at a time may use them. Empty is none.
	Postgres string
	// Scratch takes two new databases with names of their own on the server that
	// Postgres names, and removes them when the Server stops.
	Scratch bool
	// Port is the frontend's port on 127.0.0.1; 0 picks a free one.
	Port int
	// UI starts the Web UI on UIPort; UIPort 0 picks a free one.
	UI     bool
	UIPort int
	// UIHosts are names under which the Web UI answers beside localhost and the loopback's
	// addresses.
	UIHosts []string
	// UICodec is the address of the endpoint by which the Web UI decodes payloads; empty
	// is none.
	UICodec string
	// Namespace is created when it is not there; empty is DefaultNamespace.
	Namespace string
	// Retention is how long the namespace keeps closed workflows; 0 is
	// DefaultRetention, the least that Temporal accepts is an hour. It is applied
	// to the namespace of an existing file too.
	Retention time.Duration
	// Stock leaves the server's own rate and size limits in place, so that what
	// runs here also runs on a cluster with default settings.
	Stock bool
	// BlobLimit is how many bytes a payload has at most; 0 is the server's own 2 MiB.
	BlobLimit int
	// Log gets the server's warnings and errors; nil is nowhere.
	Log *zap.Logger
}

// Server is a running Temporal server.
type Server struct {
	namespace string
	address   string
	temporal  temporal.Server
	ui        *webUI
	db        *database
	// level keeps out warnings while parts of the server come and go: those that
	// are up complain about those that are not.
	level    zap.AtomicLevel
	stopping atomic.Bool
	stop     sync.Once
	stopErr  error
}

// Version is the Temporal server's version.
func Version() string { return headers.ServerVersion }

// Start runs a server and returns once it answers, its namespace is there and
// Volley's search attributes are registered. It fails when another process uses
// the database, when the database was made by another version of the server,
// and when a port is taken. ctx bounds the start only; Stop ends the server.
func Start(ctx context.Context, o Options) (*Server, error) {
	o = o.withDefaults()
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	ports, err := pickPorts(ctx, o)
	if err != nil {
		return nil, err
	}
	db, err := openDatabase(o)
	if err != nil {
		return nil, err
	}
	s := &Server{
		namespace: o.Namespace, address: address(ports.frontend), db: db, level: zap.NewAtomicLevelAt(zap.ErrorLevel),
	}
	if err := s.start(ctx, o, ports); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	s.level.SetLevel(zap.WarnLevel)
	return s, nil
}

func (o Options) withDefaults() Options {
	if o.Namespace == "" {
		o.Namespace = DefaultNamespace
	}
	if o.Retention == 0 {
		o.Retention = DefaultRetention
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	return o
}

func (s *Server) start(ctx context.Context, o Options, p ports) error {
	if err := s.db.createNamespace(o.Namespace, o.Retention); err != nil {
		return fmt.Errorf("create namespace %s: %w", o.Namespace, err)
	}
	srv, err := temporal.NewServer(s.options(o, p)...)
	if err != nil {
		return fmt.Errorf("temporal server: %w", err)
	}
	s.temporal = srv
	if err := srv.Start(); err != nil {
		return fmt.Errorf("start temporal server: %w", err)
	}
	if err := prepare(ctx, s.address, o); err != nil {
		return err
	}
	if !o.UI {
		return nil
	}
	s.ui, err = startUI(ctx, p.ui, s.address, o)
	return err
}

func (s *Server) options(o Options, p ports) []temporal.ServerOption {
	return []temporal.ServerOption{
		temporal.WithConfig(serverConfig(p, s.db)),
		temporal.ForServices(temporal.DefaultServices),
		temporal.WithStaticHosts(map[primitives.ServiceName]static.Hosts{
			primitives.FrontendService: static.SingleLocalHost(address(p.frontend)),
			primitives.HistoryService:  static.SingleLocalHost(address(p.history)),
			primitives.MatchingService: static.SingleLocalHost(address(p.matching)),
			primitives.WorkerService:   static.SingleLocalHost(address(p.worker)),
		}),
		temporal.WithLogger(log.NewZapLogger(quiet(o.Log, s.level, &s.stopping))),
		temporal.WithAuthorizer(authorization.NewNoopAuthorizer()),
		temporal.WithClaimMapper(func(*config.Config) authorization.ClaimMapper {
			return authorization.NewNoopClaimMapper()
		}),
		temporal.WithDynamicConfigClient(dynamicConfig(o.Stock, o.BlobLimit)),
	}
}

// Address is the frontend's host and port.
func (s *Server) Address() string { return s.address }

// Namespace is the name of the namespace that Start made sure of.
func (s *Server) Namespace() string { return s.namespace }

// UIAddress is the Web UI's URL; empty when it is off.
func (s *Server) UIAddress() string {
	if s.ui == nil {
		return ""
	}
	return "http://" + s.ui.address
}

// Stop ends the server and gives its database free. It may be called more than
// once; callers stop their workers and clients first.
func (s *Server) Stop() error {
	s.stop.Do(func() {
		s.level.SetLevel(zap.ErrorLevel)
		s.stopping.Store(true)
		if s.ui != nil {
			s.ui.stop()
		}
		if s.temporal != nil {
			s.stopErr = s.temporal.Stop()
		}
		s.stopErr = errors.Join(s.stopErr, s.db.close())
	})
	return s.stopErr
}

func address(port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }
