package server

import (
	"context"
	"strings"
	"sync"
	"time"

	"go.temporal.io/api/workflowservice/v1"

	"volley/internal/message"
)

// limitsKept is how long what the server said of its limits counts.
const limitsKept = time.Minute

// payloads is what the server said of its limits.
type payloads struct {
	mu    sync.Mutex
	asked time.Time
	room  int
}

// PayloadRoom is how many bytes of JSON a payload has at most on this server; 0 is that it
// takes as much as Volley needs, or does not say. It asks once a minute.
func (s *Server) PayloadRoom(ctx context.Context) int {
	p := &s.payloads
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := s.Now(); p.asked.IsZero() || now.Sub(p.asked) >= limitsKept {
		ctx, cancel := context.WithTimeout(ctx, HealthWait)
		defer cancel()
		res, err := s.Client.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: s.Namespace})
		if err != nil {
			return p.room // what asks goes on, and meets the server's own error
		}
		p.asked, p.room = now, message.RoomOf(res.GetNamespaceInfo().GetLimits().GetBlobSizeLimitError())
	}
	return p.room
}

// TooLarge reports whether the server, or the SDK which knows the server's limit, refuses a
// payload for its size. Neither has a code for it.
func TooLarge(err error) bool {
	text := err.Error()
	return strings.Contains(text, "Blob data size exceeds limit") || strings.Contains(text, "exceeded the error limit")
}
