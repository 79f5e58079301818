package starter_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	commonpb "go.temporal.io/api/common/v1"

	"volley/internal/message"
	"volley/starter"
	"volley/workflows/contract"
)

// A batch is started under an id, and a repeat of the same start answers with the batch
// that is there. Outside of this example the client comes from client.Dial, and a worker
// answers for the batch.
func ExampleStarter() {
	ctx := context.Background()
	temporal, stop := exampleServer()
	defer stop()
	s := starter.New(temporal.client, starter.Options{})

	request := starter.Request{
		Ref:  starter.Ref{ID: "reminders"}, // of the tenant default
		Body: []byte(`{"text":"Hi","messages":[{"to":"+15550001111"},{"to":"+15550002222"}]}`),
		Batch: &message.Batch{ // as a dialect decodes the body and a message.Router accepts it
			V: message.Version, Dialect: "volley", CreatedAt: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC),
			Messages: []message.Message{{To: "+15550001111"}, {To: "+15550002222"}},
			Hops:     [][]message.Hop{{{Account: "bird-main"}}}, Policies: map[string]message.Policy{"bird-main": {}},
		},
	}
	for range 2 {
		started, err := s.Start(ctx, request)
		fmt.Println(started.ID, started.Total, "messages, there already:", started.Existing, err)
	}
	request.Body = []byte(`{"text":"Bye","messages":[]}`)
	_, err := s.Start(ctx, request)
	fmt.Println("other content under the same id:", errors.Is(err, starter.ErrConflict))

	status, err := s.Status(ctx, request.Ref)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(status.State, status.Counts[message.Sent], "sent of", status.Total)
	_, err = s.Status(ctx, starter.Ref{ID: "another"})
	fmt.Println("another batch:", errors.Is(err, starter.ErrNotFound))
	// Output:
	// reminders 2 messages, there already: false <nil>
	// reminders 2 messages, there already: true <nil>
	// other content under the same id: true
	// running 1 sent of 2
	// another batch: true
}

// exampleServer is a Temporal server in memory on which every workflow answers that it is
// a batch of two, of which one was sent.
func exampleServer() (f *fake, stop func()) {
	tb := &exampleTB{}
	f = newFake(tb)
	counts := message.Counts{message.Sent: 1, message.Accepted: 1}
	f.answer = func(name string, _ *commonpb.Payloads) (any, error) {
		if name != contract.QueryStatus {
			return nil, fmt.Errorf("query %s is not expected", name)
		}
		return message.Status{ID: "reminders", State: message.BatchRunning, Total: counts.Total(), Counts: &counts}, nil
	}
	return f, tb.stop
}

// exampleTB is what newFake needs of a test, for examples, which have none.
type exampleTB struct {
	testing.TB
	cleanups []func()
}

func (tb *exampleTB) Helper()                   {}
func (tb *exampleTB) Context() context.Context  { return context.Background() }
func (tb *exampleTB) Cleanup(f func())          { tb.cleanups = append(tb.cleanups, f) }
func (tb *exampleTB) Errorf(s string, a ...any) { panic(fmt.Sprintf(s, a...)) }
func (tb *exampleTB) FailNow()                  { panic("the fake server cannot be started") }

func (tb *exampleTB) stop() {
	for i := len(tb.cleanups) - 1; i >= 0; i-- {
		tb.cleanups[i]()
	}
}
