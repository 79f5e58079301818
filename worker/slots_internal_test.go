package worker

// Inside of the package, since only the SDK asks for slots.

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/interceptor"
	sdk "go.temporal.io/sdk/worker"

	"volley/activities"
)

// used is what the SDK says of a permit whose poll has brought a task.
type used struct {
	sdk.SlotMarkUsedInfo
	permit *sdk.SlotPermit
}

func (u used) Permit() *sdk.SlotPermit { return u.permit }

// released is what it says of one that comes back.
type released struct {
	sdk.SlotReleaseInfo
	permit *sdk.SlotPermit
}

func (r released) Permit() *sdk.SlotPermit { return r.permit }

// running is an activity that starts, or ends without that, when it is told to.
type running struct {
	interceptor.ActivityInboundInterceptorBase
	start, end chan struct{}
}

func (r *running) ExecuteActivity(ctx context.Context, _ *interceptor.ExecuteActivityInput) (any, error) {
	for {
		select {
		case <-r.start:
			activities.Started(ctx)
		case <-r.end:
			return nil, nil
		}
	}
}

// task does with a slot what the SDK does with one whose poll has brought a task: it
// runs the activity, reports its result, and gives the permit back.
type task struct {
	*running
	report, done chan struct{}
}

// polled is a task for a permit.
func (s *slots) polled(p *sdk.SlotPermit) task {
	k := task{&running{start: make(chan struct{}), end: make(chan struct{})}, make(chan struct{}), make(chan struct{})}
	s.MarkSlotUsed(used{permit: p})
	go func() {
		defer close(k.done)
		_, _ = (&startInterceptor{slots: s}).InterceptActivity(context.Background(), k.running).ExecuteActivity(context.Background(), nil)
		<-k.report
		s.ReleaseSlot(released{permit: p})
	}()
	return k
}

func (k task) finish() {
	close(k.end)
	k.reported()
}

func (k task) reported() {
	close(k.report)
	<-k.done
}

// reserved is a permit, or nil when there is none for a second.
func reserved(t *testing.T, s *slots) *sdk.SlotPermit {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	p, err := s.ReserveSlot(ctx, nil)
	require.Equal(t, p == nil, err != nil)
	return p
}

// free is how many slots there are now.
func free(t *testing.T, s *slots) int {
	t.Helper()
	var all []*sdk.SlotPermit
	for p := reserved(t, s); p != nil; p = reserved(t, s) {
		all = append(all, p)
	}
	for _, p := range all {
		s.ReleaseSlot(released{permit: p})
	}
	return len(all)
}

func TestTasksThatWaitForAnswersLeaveRoomForOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSlots(2, 4)
		require.Equal(t, 4, s.MaxSlots())
		require.Nil(t, s.TryReserveSlot(nil))
		one, two := reserved(t, s), reserved(t, s)
		require.Nil(t, reserved(t, s), "two polls are as many as may start")
		s.ReleaseSlot(released{permit: two})
		first, second := s.polled(one), s.polled(reserved(t, s))
		require.Nil(t, reserved(t, s), "neither has started")
		first.start <- struct{}{}
		third := s.polled(reserved(t, s))
		require.Nil(t, reserved(t, s))
		second.start <- struct{}{}
		third.start <- struct{}{}
		p := reserved(t, s)
		require.NotNil(t, p)
		require.Nil(t, reserved(t, s), "four are the most")
		first.finish()
		require.NotNil(t, reserved(t, s))
		require.Nil(t, reserved(t, s))
		s.ReleaseSlot(released{permit: p})
		second.finish()
		third.finish()
		require.Equal(t, 1, free(t, s), "one polls, and none starts")
	})
}

// Sixty attempts are under way at a slow provider; questions, and tasks that end before
// they start, come and go beside them.
func TestNothingThatEndsTakesASlotWithIt(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(s *slots, p *sdk.SlotPermit){
		"questions": func(s *slots, p *sdk.SlotPermit) {
			k := s.polled(p)
			k.start <- struct{}{}
			k.finish()
		},
		"an attempt that makes no request": func(s *slots, p *sdk.SlotPermit) { s.polled(p).finish() },
		"an input that cannot be decoded": func(s *slots, p *sdk.SlotPermit) {
			s.MarkSlotUsed(used{permit: p})
			s.ReleaseSlot(released{permit: p})
		},
		"a poll without a task": func(s *slots, p *sdk.SlotPermit) { s.ReleaseSlot(released{permit: p}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newSlots(4, 64)
				var underWay []task
				for range 60 {
					k := s.polled(reserved(t, s))
					k.start <- struct{}{}
					underWay = append(underWay, k)
				}
				for range 8 {
					end(s, reserved(t, s))
				}
				for range 4 {
					require.NotNil(t, reserved(t, s), "four may start")
				}
				require.Nil(t, reserved(t, s))
				for _, k := range underWay {
					k.finish()
				}
			})
		})
	}
}

// mix are polls and tasks of slots in all phases.
type mix struct {
	*slots
	mayStart                     int
	polls                        []*sdk.SlotPermit
	waiting, underWay, reporting []task
}

// want is how many slots are free.
func (m *mix) want() int {
	wait := len(m.polls) + len(m.waiting)
	return min(m.mayStart-wait, m.most-wait-len(m.underWay)-len(m.reporting))
}

// step does one of the things that happen to slots, unless there is none to do it to.
func (m *mix) step(t *testing.T, rnd *rand.Rand) {
	t.Helper()
	pick := func(from *[]task) task {
		i := rnd.IntN(len(*from))
		k := (*from)[i]
		*from = slices.Delete(*from, i, i+1)
		return k
	}
	switch n := rnd.IntN(10); {
	case n < 3:
		if m.want() > 0 {
			m.polls = append(m.polls, reserved(t, m.slots))
		}
	case n == 3 && len(m.polls) > 0:
		m.waiting, m.polls = append(m.waiting, m.polled(m.polls[0])), m.polls[1:]
	case n == 4 && len(m.waiting) > 0:
		k := pick(&m.waiting)
		k.start <- struct{}{}
		m.underWay = append(m.underWay, k)
	case n == 5 && len(m.underWay) > 0:
		k := pick(&m.underWay)
		close(k.end)
		m.reporting = append(m.reporting, k)
	case n == 6 && len(m.waiting) > 0:
		k := pick(&m.waiting)
		close(k.end)
		m.reporting = append(m.reporting, k)
	case n == 7 && len(m.reporting) > 0:
		pick(&m.reporting).reported()
	case n == 8 && len(m.polls) > 0:
		m.ReleaseSlot(released{permit: m.polls[0]})
		m.polls = m.polls[1:]
	case n == 9 && len(m.polls) > 0 && len(m.reporting) == 0:
		m.MarkSlotUsed(used{permit: m.polls[0]}) // what it has brought cannot be decoded
		m.ReleaseSlot(released{permit: m.polls[0]})
		m.polls = m.polls[1:]
	}
}

func TestFreeSlotsAreThoseThatMayStartLessThoseThatWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for seed := range uint64(200) {
			rnd := rand.New(rand.NewPCG(seed, 0))
			m := &mix{slots: newSlots(5, 12), mayStart: 5}
			for range 200 {
				m.step(t, rnd)
				synctest.Wait()
				require.Equal(t, m.want(), free(t, m.slots), "seed %d", seed)
			}
			for _, k := range append(m.waiting, m.underWay...) {
				k.finish()
			}
			for _, k := range m.reporting {
				k.reported()
			}
			require.Equal(t, 5-len(m.polls), free(t, m.slots), "seed %d", seed)
		}
	})
}

// Tasks that never ran may be given back before others that have ended. The count is
// right when all are.
func TestTasksThatNeverRanAreMadeGoodByThoseThatEnded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSlots(4, 64)
		var ended []task
		for range 3 {
			k := s.polled(reserved(t, s))
			close(k.end)
			synctest.Wait()
			ended = append(ended, k)
			p := reserved(t, s)
			s.MarkSlotUsed(used{permit: p})
			s.ReleaseSlot(released{permit: p})
		}
		for _, k := range ended {
			k.reported()
		}
		require.Equal(t, 4, free(t, s))
	})
}
