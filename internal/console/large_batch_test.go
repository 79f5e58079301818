package console_test

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/console"
	"volley/internal/message"
	"volley/starter"
)

// counted notes what is read.
type counted struct {
	*batches
	mu    sync.Mutex
	reads []string
}

func (c *counted) read(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reads = append(c.reads, fmt.Sprintf(format, args...))
}

func (c *counted) Status(ctx context.Context, ref starter.Ref) (message.Status, error) {
	c.read("status")
	return c.batches.Status(ctx, ref)
}

func (c *counted) Messages(ctx context.Context, ref starter.Ref, q message.PageQuery) (message.Page, error) {
	c.read("page of %d", q.Limit)
	return c.batches.Messages(ctx, ref, q)
}

func (c *counted) Results(ctx context.Context, ref starter.Ref, q starter.ResultQuery) iter.Seq2[message.Row, error] {
	c.read("results")
	return c.batches.Results(ctx, ref, q)
}

func (c *counted) Accepted(ctx context.Context, ref starter.Ref) (*message.Batch, error) {
	c.read("accepted")
	return c.batches.Accepted(ctx, ref)
}

// However large a batch is, its page asks for its status and for one page of messages, and
// the question of a control without a filter for its status alone.
func TestWhatTheBatchPageReadsDoesNotGrowWithTheBatch(t *testing.T) {
	t.Parallel()
	for _, total := range []int{10, 1_000_000} {
		w := world()
		st := w.statuses["b-1"]
		st.Total = total
		st.Counts = &message.Counts{message.Sent: total - 1, message.Failed: 1}
		w.statuses["b-1"] = st
		c := &counted{batches: w}
		s := serve(t, console.Options{Batches: c, Index: searched(), Open: true})
		b := s.visitor(t)
		b.get("/batches/default/b-1", http.StatusOK)
		require.Equal(t, []string{"status", "page of 50"}, c.reads)
		c.reads = nil
		b.get("/batches/default/b-1?state=failed&cursor=50", http.StatusOK)
		require.Subset(t, []string{"status", "page of 50"}, c.reads)
		for _, control := range []string{"pause", "cancel", "redrive"} {
			c.reads = nil
			b.get("/batches/default/b-1/control/"+control, http.StatusOK)
			require.Equal(t, []string{"status"}, c.reads, control)
		}
	}
}
