package starter

import (
	"context"
	"errors"

	"go.temporal.io/sdk/temporal"

	"volley/internal/message"
	"volley/starter/internal/closeout"
	"volley/workflows/contract"
)

// CloseOut finds out what became of a segment of a large batch whose workflow others have
// ended, and writes its ledger. It is for the activity of this name, and may be called
// again. Where nobody will ever be able to tell, its error is one that is not retried.
func (s *Starter) CloseOut(ctx context.Context, in contract.CloseOutInput) (contract.SegmentResult, error) {
	res, err := s.closed.CloseOut(ctx, closeout.Segment{
		Ref: Ref{Tenant: in.Tenant, ID: in.ID}, Dir: in.Dir, Number: in.Number, Rest: in.Rest,
	})
	res.V = message.Version
	if errors.Is(err, closeout.ErrUnreadable) || errors.Is(err, closeout.ErrNone) {
		return res, temporal.NewNonRetryableApplicationError(err.Error(), "", err)
	}
	return res, err
}
