package message_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
)

// docs/states.md is what people read of the states, so it shows each change that the
// code can make and no other.
func TestTheDiagramOfStatesIsWhatTheCodeDoes(t *testing.T) {
	t.Parallel()
	drawn, begin := readDiagram(t, "../../docs/states.md")
	found := map[string]bool{}
	for _, attempts := range []int{0, 2} {
		for _, unknown := range []message.OnUnknown{message.Hold, message.Resend} {
			for _, await := range []int64{0, 500} {
				for hops := 1; hops <= 2; hops++ {
					explore(found, attempts, unknown, await, hops)
				}
			}
		}
	}
	require.ElementsMatch(t, sorted(drawn), sorted(found))

	created := map[string]bool{}
	for _, code := range []string{"", "required"} {
		rec := (&message.MessageMeta{Due: 10, TTL: 100, Code: code}).FirstRecord(5, 0)
		created[rec.State.String()] = true
	}
	require.Equal(t, sorted(begin), sorted(created))
}

// What explore does in place of the workflow is what the workflow does.
func TestTheEngineChangesStatesByTransitionsAndInThreeOtherWays(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../workflows/engine/*.go")
	require.NoError(t, err)
	ways := map[string]int{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				if f, ok := n.Fun.(*ast.SelectorExpr); ok && f.Sel.Name == "move" && len(n.Args) == 2 {
					ways["move to "+text(n.Args[1])]++
				}
			case *ast.AssignStmt:
				for i, left := range n.Lhs {
					if l, ok := left.(*ast.SelectorExpr); ok && l.Sel.Name == "State" && len(n.Lhs) == len(n.Rhs) && text(l.X) != "in" {
						ways["set to "+text(n.Rhs[i])]++
					}
				}
			}
			return true
		})
	}
	require.Equal(t, map[string]int{
		"move to message.Accepted": 1, "move to message.Sending": 1, "set to message.Scheduled": 1,
		"set to s": 1, // in move
	}, ways)
}

func text(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.SelectorExpr:
		return text(e.X) + "." + e.Sel.Name
	case *ast.Ident:
		return e.Name
	}
	return fmt.Sprintf("%T", e)
}

// readDiagram returns the changes of the Mermaid diagram in a page as "from → to", boxes
// resolved, and the states in which a message may begin.
func readDiagram(t *testing.T, page string) (changes, begin map[string]bool) {
	t.Helper()
	data, err := os.ReadFile(page)
	require.NoError(t, err)
	_, diagram, ok := strings.Cut(string(data), "```mermaid\n")
	require.True(t, ok, "%s has no diagram", page)
	diagram, _, _ = strings.Cut(diagram, "```")

	var boxes []string
	members, first := map[string][]string{}, map[string]string{}
	arrow, box := regexp.MustCompile(`^(\S+) --> (\w+)(?:: .+)?$`), regexp.MustCompile(`^state (\w+) \{$`)
	type edge struct{ from, to string }
	var edges []edge
	changes, begin = map[string]bool{}, map[string]bool{}
	note := func(name string) {
		if _, err := message.ParseState(name); err == nil {
			for _, b := range boxes {
				members[b] = append(members[b], name)
			}
		}
	}
	for line := range strings.Lines(diagram) {
		line = strings.TrimSpace(line)
		switch a, b := arrow.FindStringSubmatch(line), box.FindStringSubmatch(line); {
		case line == "" || line == "stateDiagram-v2":
		case b != nil:
			boxes = append(boxes, b[1])
		case line == "}":
			boxes = boxes[:len(boxes)-1]
		case a == nil:
			require.Fail(t, "unreadable line of the diagram", line)
		case a[1] == "[*]" && len(boxes) == 0:
			begin[a[2]] = true
		case a[1] == "[*]":
			first[boxes[len(boxes)-1]] = a[2]
		default:
			note(a[1])
			note(a[2])
			edges = append(edges, edge{a[1], a[2]})
		}
	}
	for _, e := range edges {
		from, to := []string{e.from}, e.to
		if f, ok := first[to]; ok {
			to = f
		}
		if m := members[e.from]; len(m) > 0 {
			from = m
		}
		_, err := message.ParseState(to)
		require.NoError(t, err)
		for _, f := range from {
			_, err := message.ParseState(f)
			require.NoError(t, err)
			if f != to {
				changes[f+" → "+to] = true
			}
		}
	}
	return changes, begin
}

func sorted(set map[string]bool) (names []string) {
	for name := range set {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// situation is a message at one point of its life. under means that an attempt is under way.
type situation struct {
	rec   message.Record
	under bool
}

// situationKey is what decides what may become of a message.
type situationKey struct {
	state                      message.State
	hop, attempts, hopAttempts int
	doubt, unresolved, await   bool
	expires                    int64
	stop, under, held, early   bool
	said                       message.EarlyReport
}

func (s situation) key() situationKey {
	r := &s.rec
	k := situationKey{
		state: r.State, hop: r.Hop, attempts: r.Attempts, hopAttempts: r.HopAttempts, doubt: r.Doubt > 0, unresolved: r.Unresolved > 0,
		await: r.Await > 0, expires: r.Expires, stop: r.Stop, under: s.under, held: r.Code == message.CodeHeld, early: r.Early != nil,
	}
	if r.Early != nil {
		k.said = *r.Early
	}
	return k
}

// explore adds every change of state that a message may make to found, by doing in every
// situation that it can get into all that its workflow may do then. The clock stands: a
// message's validity is over or not.
func explore(found map[string]bool, attempts int, unknown message.OnUnknown, await int64, hops int) {
	const now = 100
	policy := message.Policy{Attempts: attempts, OnUnknown: unknown, Reconciles: true, Settle: 5}
	batch := &message.Batch{AwaitReports: await, Policies: map[string]message.Policy{"a0": policy, "a1": policy}}
	way := []message.Hop{{Account: "a0"}, {Account: "a1"}}[:hops]

	seen := map[situationKey]bool{}
	first := (&message.MessageMeta{Due: now, TTL: 50}).FirstRecord(now, 0)
	todo := []situation{{rec: first}}
	for len(todo) > 0 {
		s := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		do := func(under bool, change func(t message.Transition)) {
			rec := s.rec
			if rec.Early != nil {
				early := *rec.Early
				rec.Early = &early
			}
			rec.Trail = nil
			change(message.Transition{Record: &rec, Batch: batch, Hops: way, Now: now})
			if from, to := s.rec.State, rec.State; from != to {
				found[from.String()+" → "+to.String()] = true
			}
			// What only counts up is bounded, so that the number of situations is.
			rec.Trail, rec.Attempts, rec.HopAttempts = nil, min(rec.Attempts, 2), min(rec.HopAttempts, 2)
			next := situation{rec: rec, under: under && !rec.State.Final()}
			if k := next.key(); !seen[k] {
				seen[k] = true
				todo = append(todo, next)
			}
		}
		for _, a := range possible(s, way) {
			do(a.under, a.do)
		}
	}
}

// action is one thing that a workflow, or whoever closes out its run, does with a message.
type action struct {
	under bool // whether an attempt is under way afterwards
	do    func(t message.Transition)
}

func possible(s situation, way []message.Hop) (some []action) {
	const now = 100
	r := s.rec
	add := func(under bool, do func(t message.Transition)) { some = append(some, action{under, do}) }
	held := message.Holding{By: message.HeldByAccount, Account: true}
	for _, state := range []message.State{message.Delivered, message.Undelivered} {
		for hop := range way {
			p := &message.Report{State: state, Account: way[hop].Account}
			switch effect, from := r.EffectOf(p, way); {
			case effect == message.EffectEarly && s.under:
				add(true, func(t message.Transition) { t.KeepEarly(p, from) })
			case effect == message.EffectEarly, effect == message.EffectEnd:
				add(false, func(t message.Transition) {
					t.KeepEarly(p, from)
					if effect == message.EffectEnd || t.ResolvesAmbiguity() {
						t.Report()
					}
				})
			}
		}
	}
	if r.State.Final() {
		return some
	}
	for _, rest := range []message.State{message.Failed, message.Canceled, message.Expired} {
		add(false, func(t message.Transition) {
			t.Close(message.UnrunOutcome{State: rest}, message.UnrunOutcome{Code: "lost"}, nil)
		})
	}
	switch {
	case s.under:
		for _, kind := range []string{
			message.NotStarted, "sent", "throttled", "unavailable", "rejected", "unauthorized", "invalid", "ambiguous", "expired",
		} {
			add(false, func(t message.Transition) { t.Answered(message.Outcome{Kind: kind, At: now}) })
		}
		add(false, func(t message.Transition) {
			t.Answered(message.Outcome{Kind: "rejected", Code: message.CodeSuppressed, At: now})
		})
		for _, kind := range []string{message.NotStarted, "unauthorized"} {
			add(false, func(t message.Transition) { t.Answered(message.Outcome{Kind: kind, At: now, Held: held}) })
		}
		add(false, func(t message.Transition) { // it had not begun, and the batch is rescheduled
			t.Withdraw(0)
			if t.State.Waiting() && t.Attempts == 0 {
				t.State, t.Next = message.Scheduled, t.Due
			}
		})
	case r.Await > 0:
		add(false, func(t message.Transition) { t.End(message.Sent, now, "", "") })
	case r.Doubt > 0:
		add(false, func(t message.Transition) { t.Found("", now) })
		add(false, func(t message.Transition) { t.Absent(now, 0) })
		add(false, func(t message.Transition) { t.CannotTell(0, "") })
	case r.State == message.Scheduled:
		add(false, func(t message.Transition) { t.State = message.Accepted })
	default:
		add(true, func(t message.Transition) {
			t.State, t.Began = message.Sending, now
			t.Attempts++
			t.HopAttempts++
		})
		add(false, func(t message.Transition) { t.Hold(held) })
		add(false, message.Transition.Unhold)
		if r.Unresolved == 0 && r.Hop+1 < len(way) {
			add(false, func(t message.Transition) { t.NextHop("breaker", "") })
		}
	}
	if r.State.Waiting() {
		add(false, func(t message.Transition) { t.Cancel(now, "") })
		if r.Expires <= now {
			add(false, message.Transition.Expire)
		}
		if r.Attempts == 0 {
			add(false, func(t message.Transition) { t.State, t.Next = message.Scheduled, t.Due })
		}
	} else {
		add(s.under, func(t message.Transition) { t.Stop = true })
	}
	add(s.under, func(t message.Transition) { t.Expires = now })
	return some
}
