package workflows

import (
	"slices"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"volley/activities"
	"volley/internal/message"
)

// locate asks the store where messages are, and how those ended whose workflow
// has ended, as things stand when it returns: what a workflow had meanwhile that
// came to its end is asked for again. A store that does not know the messages is
// not the batch's.
func (s *search) locate(ctx workflow.Context, indexes []int) ([]activities.Located, error) {
	until := s.now() + s.patience.Milliseconds()
	found := make([]activities.Located, len(indexes))
	todo := make([]int, len(indexes)) // as indexes of found
	for k := range todo {
		todo[k] = k
	}
	letters := make([][]byte, len(indexes)) // when each was asked for last
	for len(todo) > 0 {
		asked, now := todo, s.letters()
		for len(todo) > 0 {
			some := todo[:min(len(todo), maxLocated)]
			if err := s.inquire(ctx, until, indexes, some, found); err != nil {
				return nil, temporal.NewApplicationErrorWithCause(
					"the store does not say where the messages are: "+cause(err), message.CodeStore, err)
			}
			todo = todo[len(some):]
		}
		for _, k := range asked {
			letters[k] = now
		}
		for k := range found {
			if !s.moved(found[k], letters[k]) {
				continue
			}
			if _, just := slices.BinarySearch(asked, k); just || locatesAll(ctx) {
				todo = append(todo, k)
			}
		}
	}
	return found, nil
}

// locatesAll reports whether a message is also asked for again whose workflow moved
// while others were asked for again. Batches that came to that point before this was
// so do not, and go on as they did.
func locatesAll(ctx workflow.Context) bool {
	return workflow.GetVersion(ctx, changeLocate, workflow.DefaultVersion, 1) >= 1
}

// inquire asks for some of the messages.
func (s *search) inquire(ctx workflow.Context, until int64, indexes, some []int, found []activities.Located) error {
	in := activities.LocateInput{V: message.Version, Dir: s.in.Dir, Indexes: make([]int, len(some)), Large: s.large()}
	for n, k := range some {
		in.Indexes[n] = indexes[k]
	}
	for {
		var res activities.LocateResult
		if err := s.consult(ctx, until, LocateName, in, &res); err != nil {
			return err
		}
		if s.fits(res.Found, len(some)) {
			for n, k := range some {
				found[k] = res.Found[n]
			}
			return nil
		}
		if err := s.wait(ctx, until); err != nil {
			return err
		}
	}
}

func (s *search) fits(found []activities.Located, n int) bool {
	for _, f := range found {
		if f.Segment < 1 || s.opened && f.Segment > s.segments {
			return false
		}
	}
	return len(found) == n
}

// letters are those of all parts.
func (c *conductor) letters() []byte {
	all := make([]byte, len(c.parts))
	for i, p := range c.parts {
		all[i] = p.letter
	}
	return all
}

// moved reports whether the workflow that has a message, or had it when the letters
// were taken, has begun or ended since.
func (s *search) moved(at activities.Located, letters []byte) bool {
	if !s.opened {
		return false
	}
	for p := s.parent(at); p != nil; p = p.taker {
		if p.number > len(letters) || p.letter != letters[p.number-1] {
			return true
		}
	}
	return false
}

// isRejected reports whether a message is rejected.
func isRejected(at activities.Located) bool { return at.State != nil && *at.State == message.Rejected }

// consult runs one of the store's activities until a time in Unix ms at most.
func (s *search) consult(ctx workflow.Context, until int64, name string, in, out any) error {
	left := time.Duration(max(until-s.now(), 1)) * time.Millisecond
	ctx = workflow.WithActivityOptions(ctx, patientOptions(openToClose, left, "find messages"))
	return workflow.ExecuteActivity(ctx, name, in).Get(ctx, out)
}

// wait lets a second pass before a store is asked again that does not have the
// batch; it fails when that was the last.
func (s *search) wait(ctx workflow.Context, until int64) error {
	if s.now()+openRetry.Milliseconds() >= until {
		return temporal.NewApplicationError(noBatch, message.CodeStore)
	}
	return s.pauseFor(ctx, openRetry)
}
