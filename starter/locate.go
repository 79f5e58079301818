package starter

import (
	"context"

	"volley/starter/internal/large"
	"volley/starter/internal/server"
)

// viewOf is a large batch as it stands.
func (s *Starter) viewOf(ref Ref, st cachedStatus) *large.View {
	return s.large.View(ref, st.Overview, st.open, st.asked)
}

// view finds out how a large batch stands; a small one has none.
func (s *Starter) view(ctx context.Context, ref Ref) (*large.View, error) {
	d, err := s.server.DescribeOrStored(ctx, ref)
	if err != nil {
		return nil, err
	}
	return s.viewBy(ctx, ref, d)
}

// viewBy is view for a batch that was described.
func (s *Starter) viewBy(ctx context.Context, ref Ref, d server.Description) (*large.View, error) {
	switch {
	case d.Memo.Dir == "":
		return nil, nil
	case d.End != nil:
		return s.viewOf(ref, endedStatus(*d.End)), nil
	}
	st, err := s.queryStatus(ctx, ref, true, d.At)
	if err != nil {
		return nil, err
	}
	return s.viewOf(ref, st), nil
}
