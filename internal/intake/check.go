package intake

import (
	"time"

	"volley/internal/message"
)

// CheckOptions are what a check answers beside the problems.
type CheckOptions struct {
	// Problems is how many are kept as they are, below 0 all; all are in groups.
	Problems int
	// Samples is how many messages are chosen; 0 is none.
	Samples   int
	Estimates Estimates
	// Refuses finds what would keep a valid batch from starting because of its size; nil is
	// nothing.
	Refuses func(b *message.Batch, e *message.Estimate) message.Problems
	// Now is the time that it is now.
	Now time.Time
}

// Check is what is known of a request that was read to its end and that nothing is started
// of. It takes memory that does not grow with the number of messages. It is the Log of
// the request's problems.
type Check struct {
	o CheckOptions

	// Total, Valid and Excluded count messages, and Suppressed those of Excluded whose
	// recipients want no messages.
	Total, Valid, Excluded, Suppressed int
	// Found counts the problems, of which Problems are the first, and Groups all.
	Found    int
	Problems message.Problems
	Groups   ProblemGroups
	Warnings message.Problems
	// Estimate is there when a message is valid.
	Estimate *message.Estimate
	// Header is the batch without its messages; nil where nothing could be made of it.
	Header *message.Batch
	// Samples are the messages that were chosen.
	Samples []Sample
	// Refusal says why nothing of the request may start; nil is that it may.
	Refusal error
}

// NewCheck returns a check of one request.
func NewCheck(o CheckOptions) *Check {
	return &Check{o: o, Problems: message.Problems{}, Groups: ProblemGroups{Most: checkedGroups}}
}

// checkedGroups is how many kinds of problems a check tells apart.
const checkedGroups = 1000

// Add takes problems in.
func (c *Check) Add(problems ...message.Problem) error {
	for _, p := range problems {
		c.Found++
		c.Groups.Add(p)
		if c.o.Problems < 0 || len(c.Problems) < c.o.Problems {
			c.Problems = append(c.Problems, p)
		}
	}
	return nil
}

// Buffered checks a request that is in memory.
func (c *Check) Buffered(d *Buffered) error {
	c.Total, c.Valid, c.Excluded, c.Warnings, c.Refusal = d.Total(), d.Valid(), d.Excluded, d.Warnings, d.Refusal()
	c.Suppressed = d.Suppressed
	if err := c.Add(d.Problems...); err != nil || c.Valid == 0 {
		return err
	}
	c.Header = d.Batch
	samples := NewSamples(c.o.Samples)
	for i := range d.Batch.Messages {
		samples.Add(d.Batch, i, &d.Batch.Messages[i])
	}
	return c.end(NewEstimator(c.o.Estimates, c.o.Now).Whole(d), samples)
}

// Streamed reads a request that goes to this check's problems to its end.
func (c *Check) Streamed(in *Streamed) error {
	estimator, samples := NewEstimator(c.o.Estimates, c.o.Now), NewSamples(c.o.Samples)
	if in.Header() != nil {
		for m := (message.Message{}); in.Read(&m); m = (message.Message{}) {
			estimator.Add(in.Header(), &m)
			samples.Add(in.Header(), in.Total()-1, &m)
		}
	}
	if err := in.Rest(); err != nil {
		return err
	}
	c.Total, c.Valid, c.Excluded, c.Warnings, c.Refusal = in.Total(), in.Valid(), in.Excluded(), in.Warnings(), in.Refusal()
	c.Suppressed = in.Suppressed()
	if c.Valid == 0 {
		return nil
	}
	c.Header = in.Header()
	return c.end(estimator.Estimate(c.Header, c.Total, in.Bytes(), true), samples)
}

func (c *Check) end(e *message.Estimate, samples *Samples) error {
	c.Estimate = e
	if c.o.Refuses != nil {
		if refused := c.o.Refuses(c.Header, e); len(refused) > 0 {
			c.Valid, c.Estimate, c.Refusal = 0, nil, refusal(true, false, c.Total, 0, 0, 0)
			return c.Add(refused...)
		}
	}
	c.Samples = samples.List()
	return nil
}

// Rendered are the samples as their recipients would get them. recipient names the place of
// a message.
func (c *Check) Rendered(recipient func(int) string) []Rendered {
	out := make([]Rendered, len(c.Samples))
	for i := range c.Samples {
		s := &c.Samples[i]
		out[i] = Render(c.Header, &s.Message, s.Index, recipient, c.o.Now)
		out[i].Why = s.Why
	}
	return out
}
