package worker

// Inside of the package, since only the SDK asks for slots.

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	sdk "go.temporal.io/sdk/worker"
)

// slot is what the SDK says of a permit.
type slot struct {
	sdk.SlotMarkUsedInfo
	permit *sdk.SlotPermit
}

func (s slot) Permit() *sdk.SlotPermit { return s.permit }

// freed is the same when the permit comes back.
type freed struct {
	sdk.SlotReleaseInfo
	permit *sdk.SlotPermit
}

func (f freed) Permit() *sdk.SlotPermit { return f.permit }

// reserved is a slot, or nil when there is none for a second.
func reserved(t *testing.T, s *slots) *sdk.SlotPermit {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	p, err := s.ReserveSlot(ctx, nil)
	require.Equal(t, p == nil, err != nil)
	return p
}

func TestGroupsThatWaitForTheirLastAnswersLeaveRoomForOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSlots(2, 4)
		require.Equal(t, 4, s.MaxSlots())
		require.Nil(t, s.TryReserveSlot(nil))
		one, two := reserved(t, s), reserved(t, s)
		require.Nil(t, reserved(t, s), "two polls are as many as groups may start")
		s.ReleaseSlot(freed{permit: two})
		two = reserved(t, s)
		s.MarkSlotUsed(slot{permit: one})
		s.MarkSlotUsed(slot{permit: two})
		require.Nil(t, reserved(t, s), "groups that have just come start messages, too")
		s.begin(1)
		s.begin(2)
		require.Nil(t, reserved(t, s))

		s.begin(1)
		three := reserved(t, s)
		require.NotNil(t, three, "one has no more to start")
		s.MarkSlotUsed(slot{permit: three})
		s.begin(2)
		s.begin(0)
		four := reserved(t, s)
		require.NotNil(t, four)
		require.Nil(t, reserved(t, s), "four are the most")
		s.ReleaseSlot(freed{permit: one})
		require.NotNil(t, reserved(t, s))
	})
}

func TestAGroupThatNeverBeganLeavesItsSlot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSlots(1, 4)
		p := reserved(t, s)
		s.MarkSlotUsed(slot{permit: p})
		require.Nil(t, reserved(t, s))
		s.ReleaseSlot(freed{permit: p})
		require.NotNil(t, reserved(t, s))
	})
}
