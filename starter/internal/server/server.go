package server

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.uber.org/zap"

	"volley/internal/store"
)

// Options are what calls need. All but Store, Redial and TrackAnswers is set.
type Options struct {
	Client        client.Client
	Namespace     string
	DataConverter converter.DataConverter
	// Store is where large batches are kept; nil is none.
	Store *store.Store
	// Now is the clock, and Wait how long a server or a worker may take to answer.
	Now  func() time.Time
	Wait time.Duration
	// Redial and TrackAnswers are the starter's options of these names.
	Redial       func(context.Context) (client.Client, error)
	TrackAnswers func(context.Context) (context.Context, func() bool)
	Log          *zap.Logger
}

// Server is Temporal and the store. It is safe for concurrent use.
type Server struct {
	Options
	// conn is the connection on which is asked again; nil while nobody does.
	connMu   sync.Mutex
	conn     *sharedConn
	payloads payloads
	// cluster is the id of the Temporal cluster, once it is known.
	cluster atomic.Pointer[string]
}

// ConverterOf is the data converter for what stands in a workflow, which compares whose it is.
func (s *Server) ConverterOf(wid string) converter.DataConverter {
	return converter.WithDataConverterSerializationContext(s.DataConverter, converter.WorkflowSerializationContext{
		Namespace: s.Namespace, WorkflowID: wid,
	})
}

// New returns a Server; the client and the store stay the caller's to close.
func New(o Options) *Server { return &Server{Options: o} }
