package starter_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"

	"volley/internal/message"
	"volley/starter"
)

func TestWhereTheServerTakesLessMoreGoesThroughTheStore(t *testing.T) {
	t.Parallel()
	const limit = 300 << 10
	b := newBig(t, starter.Options{})
	b.fake.payload = limit
	start(t, b.Starter, request("a", 300))
	in := b.input(t)
	require.Nil(t, in.Large)
	require.Equal(t, message.RoomOf(limit), in.Room, "the workflow hands on and returns no more")
	require.LessOrEqual(t, in.Size+message.LeastRoom(300), in.Room)

	b = newBig(t, starter.Options{})
	b.fake.payload = limit
	start(t, b.Starter, request("a", 900))
	require.NotNil(t, b.input(t).Large, "what becomes of so many would not fit")

	b = newBig(t, starter.Options{})
	start(t, b.Starter, request("a", 900))
	require.Nil(t, b.input(t).Large)
	require.Zero(t, b.input(t).Room)
}

func TestWhereTheServerTakesTooLittleNothingStarts(t *testing.T) {
	t.Parallel()
	s, f := newStarter(t, starter.Options{})
	f.payload = 300 << 10
	_, err := s.Start(t.Context(), request("a", 900))
	var large *starter.PayloadError
	require.ErrorAs(t, err, &large, "there is no store")
	require.ErrorIs(t, err, starter.ErrInvalid)
	require.ErrorContains(t, err, "raise limit.blobSize.error")

	b := newBig(t, starter.Options{})
	b.fake.payload = 64 << 10
	_, err = b.StartLarge(t.Context(), starter.Request{Ref: a}, streamOf(2500))
	require.ErrorAs(t, err, &large, "what Volley hands over beside the store does not fit")
	require.Zero(t, b.fake.called("StartWorkflowExecution")+f.called("StartWorkflowExecution"))
}

func TestALongReasonIsCutBeforeItReachesTemporal(t *testing.T) {
	t.Parallel()
	s, f, res := openBatch(t, 3)
	var got message.CancelRequest
	f.flow(t, "batch-a").update = func(_ string, args *commonpb.Payloads) (any, error) {
		return message.NewCancelResult("a"), converter.GetDefaultDataConverter().FromPayloads(args, &got)
	}
	_, err := s.Cancel(t.Context(), a, message.CancelRequest{Reason: strings.Repeat("x", 3<<20), Messages: []string{res.Rows[1].ID}})
	require.NoError(t, err)
	require.Len(t, got.Reason, message.MaxDetail)
}

func TestAnAnswerThatTheServerFindsTooLargeIsNamed(t *testing.T) {
	t.Parallel()
	s, f, _ := openBatch(t, 3)
	f.flow(t, "batch-a").query = func(string, *commonpb.Payloads) (any, error) {
		return nil, errors.New("[TMPRL1103] Attempted to upload payloads with size that exceeded the error limit.")
	}
	_, err := s.Status(t.Context(), a)
	require.ErrorIs(t, err, starter.ErrRefused)
	require.ErrorContains(t, err, "this Temporal server takes no payload of its size: ask for less at a time, or raise limit.blobSize.error")
}

func TestALongPairToHoldIsRefused(t *testing.T) {
	t.Parallel()
	s, f := newStarter(t, starter.Options{})
	_, err := s.Hold(t.Context(), starter.HoldRequest{Selector: starter.Selector{Tenant: "t", Meta: "campaign=" + strings.Repeat("x", 1<<20)}, ByTenant: "t"})
	require.ErrorIs(t, err, starter.ErrInvalid)
	require.ErrorContains(t, err, "at most 300 are possible")
	require.Zero(t, f.called("SignalWithStartWorkflowExecution"))
}
