package chaos

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The sink, the proxy and the plan are no part of what others may use, so that these tests
// stand inside.

func testSink(t *testing.T, faults float64) *sink {
	t.Helper()
	s, err := openSink(t.Context(), 7, faults)
	require.NoError(t, err)
	s.slowest = time.Millisecond
	t.Cleanup(s.close)
	return s
}

// post sends a message to an address and returns the status, 0 where no answer came.
func post(t *testing.T, address, id, to string) (status int, body string) {
	t.Helper()
	doc := fmt.Sprintf(`{"timestamp":"2026-11-29T12:00:00Z","data":{"batch":"b","id":%q,"index":3,"to":%q,"reference":"ref-%s"}}`, id, to, id)
	return exchange(t, http.MethodPost, address+"/acc", doc)
}

func exchange(t *testing.T, method, address, doc string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(doc))
	require.NoError(t, err)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return 0, ""
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(text)
}

func TestTheSinkSaysWhatItHas(t *testing.T) {
	t.Parallel()
	s := testSink(t, 0)
	status, body := post(t, s.url, "m1", "ann")
	require.Equal(t, http.StatusOK, status)
	require.JSONEq(t, `{"id":"r1-m1"}`, body)
	status, body = exchange(t, http.MethodGet, s.url+"/acc?id=m1", "")
	require.Equal(t, http.StatusOK, status)
	require.JSONEq(t, `{"id":"r1-m1"}`, body)
	status, _ = exchange(t, http.MethodGet, s.url+"/acc?id=m2", "")
	require.Equal(t, http.StatusNotFound, status)
	status, _ = post(t, s.url, "m3", refusedPart+"-3")
	require.Equal(t, http.StatusUnprocessableEntity, status)

	log := s.log()
	require.Len(t, log, 4)
	require.WithinDuration(t, time.Now(), log[0].Arrived, time.Minute)
	log[0].Arrived = time.Time{}
	require.Equal(t, Request{
		Stamped: time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC), Account: "acc", Batch: "b", ID: "m1", Reference: "ref-m1", Index: 3,
		Answer: answerTaken, Accepted: true, Receipt: "r1-m1",
	}, log[0])
	require.True(t, log[1].Question)
	require.False(t, log[3].Accepted)
	require.Equal(t, 1, s.accepted())
}

func TestTheSinkMisbehavesInEveryWayAndRemembersTheTruth(t *testing.T) {
	t.Parallel()
	s := testSink(t, 1)
	for i := range 80 {
		id := fmt.Sprintf("m%d", i)
		status, _ := post(t, s.url, id, "ann")
		log := s.log()
		last := log[len(log)-1]
		require.Equal(t, id, last.ID)
		switch last.Answer {
		case answerThrottled, answerUnavailable, answerBroken, answerDropped:
			require.False(t, last.Accepted)
		default:
			require.True(t, last.Accepted, last.Answer)
		}
		dropped := last.Answer == answerDropped || last.Answer == answerDroppedTaken
		require.Equal(t, dropped, status == 0, last.Answer)
	}
	require.Len(t, s.answers(), misbehaviours, "%v", s.answers())
	s.behave()
	status, _ := post(t, s.url, "last", "ann")
	require.Equal(t, http.StatusOK, status)
}

func TestTheSinkAnswersBySeedAndNotByOrder(t *testing.T) {
	t.Parallel()
	draw := func(seed uint64, order ...string) map[string]string {
		s := &sink{seed: seed, faults: 0.5}
		all := map[string]string{}
		for _, what := range order {
			all[what] = s.choose(what)
		}
		return all
	}
	require.Equal(t, draw(1, "a", "b", "c", "d", "e"), draw(1, "e", "d", "c", "b", "a"))
	require.NotEqual(t, draw(1, "a", "b", "c", "d", "e"), draw(2, "a", "b", "c", "d", "e"))
}

func TestTheShareOfMisbehaviourIsAsAskedFor(t *testing.T) {
	t.Parallel()
	s := &sink{seed: 3, faults: 0.2}
	n := 0
	for i := range 10_000 {
		if s.choose(fmt.Sprintf("send b-%d 1", i)) != answerTaken {
			n++
		}
	}
	require.InDelta(t, 2_000, n, 200)
}

func TestAProxyPassesCutsAndMends(t *testing.T) {
	t.Parallel()
	s := testSink(t, 0)
	p, err := openProxy(t.Context(), strings.TrimPrefix(s.url, "http://"))
	require.NoError(t, err)
	t.Cleanup(p.close)
	through := "http://" + p.address()
	status, _ := post(t, through, "m1", "ann")
	require.Equal(t, http.StatusOK, status)
	p.cut()
	status, _ = post(t, through, "m2", "ann")
	require.Zero(t, status)
	p.mend()
	status, _ = post(t, through, "m3", "ann")
	require.Equal(t, http.StatusOK, status)
	const by = 50 * time.Millisecond
	p.slow(by)
	began := time.Now()
	status, _ = post(t, through, "m4", "ann")
	require.Equal(t, http.StatusOK, status)
	require.GreaterOrEqual(t, time.Since(began), 2*by, "there and back")
	require.Equal(t, 3, s.accepted())
}

func TestAPlanFollowsFromItsSeed(t *testing.T) {
	t.Parallel()
	o := func(seed uint64) *Options {
		return &Options{Messages: 5_000, Seed: seed, Faults: 0.2, Dispatch: dispatchBoth, Store: "file:///tmp/x"}
	}
	first, again, other := newPlan(o(1)), newPlan(o(1)), newPlan(o(2))
	require.Equal(t, first, again)
	require.NotEqual(t, first, other)
	for seed := range uint64(50) {
		for _, n := range []int{smallest, 99, 1_000, 20_000} {
			opts := o(seed)
			opts.Messages = n
			sum := 0
			for _, b := range newPlan(opts).batches {
				sum += b.messages
				require.GreaterOrEqual(t, b.messages, min(n, smallest))
				for _, i := range b.chosen() {
					require.Less(t, i, b.messages)
				}
			}
			require.Equal(t, n, sum)
		}
	}
}

func TestAPlanHasEveryFaultAndControl(t *testing.T) {
	t.Parallel()
	o := &Options{Messages: 50_000, Seed: 1, Faults: 0.2, Dispatch: dispatchBoth, Store: "file:///tmp/x", RestartServer: nil}
	p := newPlan(o)
	seen := map[string]bool{}
	for _, b := range p.batches {
		seen[b.control], seen[b.dispatch], seen[b.role] = true, true, true
	}
	for _, f := range append(p.processes, p.links...) {
		seen[f.kind] = true
	}
	for _, want := range []string{
		controlNone, controlCancel, controlCancelSome, controlPause, controlReschedule, controlTerminate, dispatchMessage, dispatchGroup,
		roleAsked, roleBlind, roleResend, roleHeld, faultKill, faultCutTemporal, faultSlowTemporal, faultCutProvider, faultSlowProvider, faultStore,
	} {
		require.True(t, seen[want], want)
	}
	require.False(t, seen[faultRestartServer], "the server is not ours")
	for store, there := range map[string]bool{
		"s3://b?endpoint=http://127.0.0.1:9000&region=x": true, "s3://b?region=x": false, "s3://b?endpoint=https://s3.example.com": false, "file:///tmp/x": false,
	} {
		kinds := linkFaults(&Options{Store: store})
		require.Equal(t, there, slices.Contains(kinds, faultCutStore) && slices.Contains(kinds, faultSlowStore), store)
	}
	o.Faults = 0
	require.Empty(t, newPlan(o).processes)
}
