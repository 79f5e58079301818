package provider

import (
	"context"
	"slices"
	"time"
)

const (
	// clockSkew widens a window on our clock, because a listing is filtered on the
	// provider's.
	clockSkew = 5 * time.Minute
	// maxPages bounds one listing; a longer one proves nothing.
	maxPages = 50
	// maxPageBytes is the most bytes of one page.
	maxPageBytes = 16 << 20
)

// window is when a doubtful message may have reached the provider, on any clock.
func (q Query) window() (from, to time.Time) {
	return q.Since.Add(-clockSkew).UTC(), q.Until.Add(clockSkew).UTC()
}

// excludes reports whether a time, as the provider writes it, is outside the
// window. A time that cannot be read is not.
func (q Query) excludes(written string) bool {
	at, err := time.Parse(time.RFC3339Nano, written)
	if err != nil {
		return false
	}
	from, to := q.window()
	return at.Before(from) || at.After(to)
}

func (q Query) isTaken(id string) bool { return slices.Contains(q.Taken, id) }

// page is one answer of a listing.
type page struct {
	reply Reply
	// secrets are those of its request.
	secrets []string
}

// pages reads a listing page by page until one has what was looked for or there
// is no next one. It reports whether all pages were read.
func (c *client) pages(ctx context.Context, get func(ctx context.Context, token string) (page, error), each func(Reply) (next string, stop bool, f Fault)) (bool, error) {
	token := ""
	for range maxPages {
		p, err := get(ctx, token)
		if err != nil {
			return false, err
		}
		next, stop, f := each(p.reply)
		if err := c.classify(p.reply, f, p.secrets); err != nil {
			return false, err
		}
		if stop {
			return false, nil
		}
		if next == "" {
			return true, nil
		}
		token = next
	}
	return false, nil
}

// withoutID is the verdict on a message of which a listing shows none with our id:
// Absent if the listing covers the window and holds nothing that could be the message.
// Content finds nothing, since another batch, tenant or program may have said the same.
func withoutID(maybe int, complete bool) Answer {
	switch {
	case maybe > 0:
		return Answer{Detail: "the listing holds messages that could be this one or another"}
	case complete:
		return Answer{Verdict: Absent}
	}
	return Answer{Detail: "the listing does not cover the time of the attempt"}
}
