package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"volley/activities"
	"volley/internal/message"
)

// locate asks the store where messages are, and how those ended whose workflow
// has ended. A store that does not know them is not the batch's.
func (s *search) locate(ctx workflow.Context, indexes []int) ([]activities.Located, error) {
	until := s.now() + s.patience.Milliseconds()
	var found []activities.Located
	for len(found) < len(indexes) {
		some := indexes[len(found):min(len(found)+maxLocated, len(indexes))]
		in := activities.LocateInput{V: message.Version, Dir: s.in.Dir, Indexes: some, Large: s.large()}
		var res activities.LocateResult
		err := s.consult(ctx, until, LocateName, in, &res)
		if err == nil && !s.fits(res.Found, len(some)) {
			if err = s.wait(ctx, until); err == nil {
				continue
			}
		}
		if err != nil {
			return nil, temporal.NewApplicationErrorWithCause(
				"the store does not say where the messages are: "+cause(err), message.CodeStore, err)
		}
		found = append(found, res.Found...)
	}
	return found, s.inspect(ctx, until, indexes, found)
}

func (s *search) fits(found []activities.Located, n int) bool {
	for _, f := range found {
		if f.Segment < 1 || s.opened && f.Segment > s.segments {
			return false
		}
	}
	return len(found) == n
}

// inspect learns which messages are rejected of segments that have not begun, once
// for each segment.
func (s *search) inspect(ctx workflow.Context, until int64, indexes []int, found []activities.Located) error {
	for _, f := range found {
		p := s.parent(f)
		if f.State != nil || p.Rejected == 0 || s.opened && !p.waits() || s.rejects[f.Segment] != nil {
			continue
		}
		in := activities.LoadInput{V: message.Version, Dir: s.in.Dir, Sources: []activities.Source{{Segment: f.Segment}}}
		for {
			var res activities.LoadResult
			err := s.consult(ctx, until, LoadName, in, &res)
			if err == nil && res.Found {
				bad := map[int]bool{}
				for _, l := range res.Lines {
					if l.Code != "" {
						bad[l.Index] = true
					}
				}
				s.rejects[f.Segment] = bad
				break
			}
			if err == nil {
				err = s.wait(ctx, until)
			}
			if err != nil {
				return temporal.NewApplicationErrorWithCause(
					fmt.Sprintf("the store does not say what is in segment %d: %s", f.Segment, cause(err)), message.CodeStore, err)
			}
		}
	}
	return nil
}

// isRejected reports whether a message is rejected whose segment has not begun.
func (s *search) isRejected(at activities.Located, index int) bool {
	return at.State != nil && *at.State == message.Rejected || s.rejects[at.Segment][index]
}

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
