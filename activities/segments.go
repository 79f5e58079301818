package activities

import (
	"context"
	"errors"

	"volley/workflows/contract"
)

// Segments reaches the workflows of batches and of their segments; *starter.Starter does. Its
// methods are activities as they are, and may be called again with the same input.
type Segments interface {
	// CloseOut finds out what became of a segment whose workflow was ended by others, and
	// writes its ledger, whose counts it returns.
	CloseOut(ctx context.Context, in contract.CloseOutInput) (contract.SegmentResult, error)
	// ControlSegments asks segments for a few seconds, side by side.
	ControlSegments(ctx context.Context, in contract.ControlSegmentsInput) (contract.ControlSegmentsResult, error)
	// CancelMessages cancels messages by name, wherever they are.
	CancelMessages(ctx context.Context, in contract.CancelMessagesInput) (contract.CancelMessagesResult, error)
	// BatchRuns reports whether the workflow of a batch runs.
	BatchRuns(ctx context.Context, in contract.BatchRunsInput) (bool, error)
}

// noSegments is for a worker that reaches none. Its activities are tried again elsewhere.
type noSegments struct{}

var errNoSegments = errors.New("this worker has nothing that reaches the segments of a batch")

func (noSegments) CloseOut(context.Context, contract.CloseOutInput) (res contract.SegmentResult, err error) {
	return res, errNoSegments
}

func (noSegments) ControlSegments(context.Context, contract.ControlSegmentsInput) (res contract.ControlSegmentsResult, err error) {
	return res, errNoSegments
}

func (noSegments) CancelMessages(context.Context, contract.CancelMessagesInput) (res contract.CancelMessagesResult, err error) {
	return res, errNoSegments
}

func (noSegments) BatchRuns(context.Context, contract.BatchRunsInput) (bool, error) {
	return false, errNoSegments
}
