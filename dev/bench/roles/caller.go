package roles

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"

	"volley/internal/dialect"
	"volley/internal/intake"
	"volley/internal/store"
	"volley/starter"
)

// BatchMessages is how many messages a Bird batch has.
const BatchMessages = 10

// Submit is one Bird batch as a client of the gateway at an address sends it.
type Submit struct {
	HTTP *http.Client
	URL  string
	Body []byte
}

// Do submits the batch and returns its id.
func (s Submit) Do(ctx context.Context) (string, error) {
	const path = "/workspaces/" + Workspace + "/channels/" + Channel + "/batch/messages"
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+path, bytes.NewReader(s.Body))
	if err != nil {
		return "", err
	}
	r.Header.Set("Authorization", "AccessKey "+Key)
	r.Header.Set("Content-Type", "application/json")
	res, err := s.HTTP.Do(r)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusAccepted {
		err = fmt.Errorf("%s: %s", res.Status, text)
	}
	return res.Header.Get("Volley-Batch-Id"), err
}

// start is a start of a workflow as the starter asks for it.
type start struct {
	client.Client
	options  client.StartWorkflowOptions
	workflow any
	args     []any
}

// ExecuteWorkflow keeps what it is asked for and starts nothing.
func (s *start) ExecuteWorkflow(_ context.Context, o client.StartWorkflowOptions, workflow any, args ...any) (client.WorkflowRun, error) {
	s.options, s.workflow, s.args = o, workflow, args
	return nil, nil
}

// do starts it.
func (s *start) do(ctx context.Context) error {
	_, err := s.Client.ExecuteWorkflow(ctx, s.options, s.workflow, s.args...)
	return err
}

// prepare does all that the gateway does with a request before it asks Temporal.
func (r Role) prepare(ctx context.Context, c client.Client, large *store.Store, body []byte) (*start, error) {
	bird, err := dialect.Named("bird")
	if err != nil {
		return nil, err
	}
	at := dialect.BirdChannel{Workspace: Workspace, Channel: Channel}
	o := intake.Options{Dialect: bird, Options: dialect.Options{Now: time.Now(), Metadata: at.Metadata()}}
	q, err := intake.Open(bytes.NewReader(body), r.tenant(), limits(), o)
	if err != nil {
		return nil, err
	}
	whole := q.Buffered()
	if err := whole.Refusal(); err != nil {
		return nil, err
	}
	p := &start{Client: c}
	_, err = starter.New(p, starter.Options{InFlight: r.InFlight, Store: large}).Start(ctx, starter.Request{
		Ref: starter.Ref{Tenant: Tenant, ID: uuid.NewString()}, Body: whole.Body, Batch: whole.Batch,
		Flags: map[string]string{"workspace": at.Workspace, "channel": at.Channel},
	})
	return p, err
}

// caller starts n batches, Clients at once, and tells how long that took: through the
// gateway, or directly where n is below 0, with what the starter would ask for ready
// before.
func (r Role) caller(ctx context.Context, c client.Client) (answer func(n int) (Reply, error), end func() error, err error) {
	large, err := store.Open(ctx, r.Store, store.Options{})
	if err != nil {
		return nil, nil, err
	}
	s := Submit{URL: r.Gateway, Body: BirdBatch(BatchMessages), HTTP: &http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: r.Clients},
	}}
	return func(n int) (Reply, error) {
		all := make(chan *start, max(n, -n))
		for range cap(all) {
			p, err := r.prepare(ctx, c, large, s.Body) // for both, so that the same comes before
			if err != nil {
				return Reply{}, err
			}
			all <- p
		}
		close(all)
		var g errgroup.Group
		began := time.Now()
		for range min(r.Clients, cap(all)) {
			g.Go(func() error {
				for p := range all {
					var err error
					if n > 0 {
						_, err = s.Do(ctx)
					} else {
						err = p.do(ctx)
					}
					if err != nil {
						return err
					}
				}
				return nil
			})
		}
		err := g.Wait()
		return Reply{Seconds: time.Since(began).Seconds()}, err
	}, large.Close, nil
}
