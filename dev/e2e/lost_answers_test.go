package e2e_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/starter"
)

// everywhere is more connections than a test makes.
const everywhere = 1000

// allSubmits is a batch of the test in each dialect, in Volley's own also as a stream and
// in groups.
func allSubmits(t *testing.T) map[string]submit {
	bearer := "Authorization: Bearer " + acme
	all := submits(t)
	own := ownBody(t, "hook", notes(t, 3))
	all["volley"] = submit{"/v1/batches", own, bearer, 3}
	all["volley in groups"] = submit{"/v1/batches?dispatch=group", own, bearer, 3}
	rows := strings.Builder{}
	rows.WriteString("to,name,padding\n")
	for i := range 300 {
		fmt.Fprintf(&rows, "%s,Ann,%s\n", to(t, i, ""), strings.Repeat("x", 300)) // above what is read at once
	}
	all["volley as a stream"] = submit{"/v1/batches?dispatch=group&account=hook&text=Hi+%24%7Bname%7D", rows.String(), bearer, 300}
	return all
}

// sentOnce waits for the batch and checks that each message was sent, and once.
func (s submit) sentOnce(t *testing.T, l *lab, id string) {
	t.Helper()
	status, _ := l.wait(t, ofAcme(id))
	require.Equal(t, s.messages, status.Total)
	require.Equal(t, s.messages, status.Counts[message.Sent])
	require.Equal(t, s.messages, l.arrived(t))
}

func names(t *testing.T) []string {
	var all []string
	for name := range maps.Keys(allSubmits(t)) {
		all = append(all, name)
	}
	return all
}

func TestAClientThatRepeatsOnAnErrorSendsOnceWhenAnswersOfTemporalAreLost(t *testing.T) {
	t.Parallel()
	l := shared
	config := l.gatewayConfig(t)
	for _, name := range names(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			way := newLossyProxy(t, l.server.Address(), "batch-", everywhere, false)
			g := gatewayAt(t, config, way.address())
			s := allSubmits(t)[name]
			first := s.to(g).is(http.StatusGatewayTimeout)
			id := first.batch()
			require.Contains(t, first.body, "batch "+id+" may have started")
			require.Empty(t, first.header.Get("Retry-After"))
			require.NotContains(t, first.body, "RetryInfo")
			l.wait(t, ofAcme(id)) // it has

			way.heal()
			var again reply
			require.Eventually(t, func() bool { again = s.to(g); return again.status < 500 }, time.Minute, time.Millisecond)
			require.Less(t, again.status, 300, again.body)
			require.Equal(t, id, again.batch())
			s.sentOnce(t, l, id)

			s.body = strings.Replace(s.body, "Hi", "Ho", 1) + " "
			if name == "volley as a stream" || name == "bird" {
				return // it says Hi elsewhere
			}
			require.NotEqual(t, id, s.to(g).batch(), "other content is another batch")
		})
	}
}

func TestAConnectionThatBreaksBeforeTheAnswerIsNotNoticed(t *testing.T) {
	t.Parallel()
	l := shared
	config := l.gatewayConfig(t)
	for _, name := range names(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			way := newLossyProxy(t, l.server.Address(), "batch-", 1, true)
			s := allSubmits(t)[name]
			r := s.to(gatewayAt(t, config, way.address()))
			require.Less(t, r.status, 300, r.body)
			s.sentOnce(t, l, r.batch())
		})
	}
}

func TestAConnectionThatIsDeadIsNotTheLastWord(t *testing.T) {
	t.Parallel()
	l := shared
	way := newLossyProxy(t, l.server.Address(), "batch-", 1, false)
	s := allSubmits(t)["volley"]
	r := s.to(gatewayAt(t, l.gatewayConfig(t), way.address())).is(http.StatusAccepted)
	require.Contains(t, r.body, `"existing":false`)
	s.sentOnce(t, l, r.batch())
}

func TestAChangeOverHTTPWhoseAnswerIsLostIsNotCalledUndone(t *testing.T) {
	t.Parallel()
	l := shared
	way := newLossyProxy(t, l.server.Address(), "pause", 0, false)
	g := gatewayAt(t, l.gatewayConfig(t), way.address())
	id := g.as(acme, "POST", "/v1/batches?sendAfter=1h", ownBody(t, "hook", notes(t, 3))).is(http.StatusAccepted).batch()
	way.lose("pause", everywhere)
	r := g.as(acme, "POST", "/v1/batches/"+id+":pause", "").is(http.StatusGatewayTimeout)
	require.Contains(t, r.body, `"code":"may_have_changed"`)
	require.Equal(t, "5", r.header.Get("Retry-After"))
	way.heal()
	require.Eventually(t, func() bool { return g.as(acme, "POST", "/v1/batches/"+id+":pause", "").status == http.StatusOK }, time.Minute, time.Millisecond)
	st, err := l.starter.Status(t.Context(), ofAcme(id))
	require.NoError(t, err)
	require.Equal(t, message.BatchPaused, st.State)
	g.as(acme, "POST", "/v1/batches/"+id+":cancel", "").is(http.StatusOK)
}

// failed is what a command that failed printed.
type failed struct {
	ID    string
	Error struct{ Code, Message, ID string }
}

func failedWith(t *testing.T, out string) (f failed) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(out), &f), out)
	return f
}

func TestACommandWhoseStartHasNoAnswerNamesTheBatch(t *testing.T) {
	t.Parallel()
	l := shared
	way := newLossyProxy(t, l.server.Address(), "batch-", everywhere, false)
	c := cli{bin: volley(t), config: l.config(t, "volley", "hook"), temporal: way.address()}
	body := ownBody(t, "hook", notes(t, 3))
	out, errs, code := c.run(t, body, "start", "--dialect", "volley", "-o", "json", "-")
	require.Equal(t, 1, code)
	f := failedWith(t, out)
	require.Equal(t, "may_have_started", f.Error.Code)
	require.NotEmpty(t, f.ID)
	require.Equal(t, f.ID, f.Error.ID)
	require.Contains(t, errs, "batch "+f.ID+" may have started: volley status "+f.ID+", or repeat with --id "+f.ID)

	way.heal()
	out, errs, code = c.run(t, body, "start", "--dialect", "volley", "-o", "json", "--wait", "--id", f.ID, "-")
	require.Equal(t, 0, code, errs)
	require.Contains(t, out, `"existing":true`)
	l.sentOnce(t, starter.DefaultTenant, map[string]bool{f.ID: true})
	require.Equal(t, 3, l.arrived(t))

	// A batch of those that failed, by an id of its own.
	again := "again-" + f.ID
	way.lose("batch-"+again, everywhere)
	ref := l.start(t, l.starter, "hook", []note{{To: to(t, 9, "+reject"), Params: map[string]string{"name": "Ann"}}})
	l.wait(t, ref)
	redrive := []string{"redrive", ref.ID, "--id", again, "-o", "json"}
	out, _, code = c.run(t, "", redrive...)
	require.Equal(t, 1, code)
	require.Equal(t, "unreachable", failedWith(t, out).Error.Code, "it asked whether the batch is there, and began nothing")
	way.heal()
	for _, existing := range []string{"false", "true"} {
		out, _, code = c.run(t, "", redrive...)
		require.Equal(t, 0, code)
		require.Contains(t, out, `"existing":`+existing)
	}
}

func TestACommandWhoseChangeHasNoAnswerSaysThatItMayHaveHappened(t *testing.T) {
	t.Parallel()
	l := shared
	all := notes(t, 3)
	for i := range all {
		all[i].SendAfter = "1h"
	}
	for i, args := range [][]string{{"pause"}, {"resume"}, {"reschedule", "--send-after", "2h"}, {"cancel"}} {
		t.Run(fmt.Sprint(i), func(t *testing.T) { // the batch's name must not have the word in it
			t.Parallel()
			way := newLossyProxy(t, l.server.Address(), args[0], everywhere, false)
			c := cli{bin: volley(t), config: l.config(t, "volley", "hook"), temporal: way.address()}
			ref := l.start(t, l.starter, "hook", all)
			command := append([]string{args[0], ref.ID, "-o", "json"}, args[1:]...)
			out, errs, code := c.run(t, "", command...)
			require.Equal(t, 1, code)
			require.Equal(t, "may_have_changed", failedWith(t, out).Error.Code)
			require.Contains(t, errs, "the change may have been recorded")
			st, err := l.starter.Status(t.Context(), ref)
			require.NoError(t, err)
			switch args[0] {
			case "pause":
				require.Equal(t, message.BatchPaused, st.State, "it was")
			case "cancel":
				require.Equal(t, 3, st.Counts[message.Canceled], "it was")
			}
			way.lose(args[0], 1) // the next one has its answer from another connection
			_, errs, code = c.run(t, "", command...)
			require.Equal(t, 0, code, errs)
		})
	}
}
