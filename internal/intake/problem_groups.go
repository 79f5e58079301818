package intake

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"volley/internal/message"
)

const (
	// maxGroups is ProblemGroups.Most where it is 0.
	maxGroups = 10_000
	// maxPlaces is how many places of one kind are named.
	maxPlaces = 5
)

// ProblemGroups gathers the problems of a request by what they say, since one cause
// often shows in every message. The zero value has none.
type ProblemGroups struct {
	// Most is how many kinds are told apart; 0 is 10,000.
	Most int

	groups map[problemKind]*ProblemGroup
	order  []*ProblemGroup
	// Lost is how many problems are of no group, because there were too many kinds.
	Lost int
}

// problemKind is what problems of one kind share.
type problemKind struct{ path, code, detail string }

// ProblemGroup is problems of one kind: with the same path within the message, the same
// code, and the same detail without the line.
type ProblemGroup struct {
	Path   string `json:"path"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
	// Whole means that one of the problems is the request's own. Messages counts those of
	// messages, and Places are where the first of them are: lines of the file where Lines
	// is true, else indexes.
	Whole    bool     `json:"whole"`
	Messages int      `json:"messages"`
	Lines    bool     `json:"lines"`
	Places   []string `json:"places"`
	// First is the whole of the first one.
	First message.Problem `json:"-"`
}

// Add takes a problem in.
func (g *ProblemGroups) Add(p message.Problem) {
	kind, line := kindOf(p)
	group := g.groups[kind]
	if group == nil {
		if len(g.order) == cmp.Or(g.Most, maxGroups) {
			g.Lost++
			return
		}
		kind = problemKind{strings.Clone(kind.path), strings.Clone(kind.code), strings.Clone(kind.detail)}
		group = &ProblemGroup{Path: kind.path, Code: kind.code, Detail: kind.detail, First: p, Places: []string{}}
		if g.groups == nil {
			g.groups = map[problemKind]*ProblemGroup{}
		}
		g.groups[kind] = group
		g.order = append(g.order, group)
	}
	if p.Index == message.WholeBatch {
		group.Whole = true
		return
	}
	group.Messages++
	if len(group.Places) < maxPlaces {
		if group.Lines = line != ""; !group.Lines {
			line = strconv.Itoa(p.Index)
		}
		group.Places = append(group.Places, strings.Clone(line))
	}
}

// kindOf takes the message's place out of a problem. line is where in the file it
// is, for problems that say it.
func kindOf(p message.Problem) (kind problemKind, line string) {
	kind = problemKind{p.Path, p.Code, p.Detail}
	if p.Index == message.WholeBatch {
		return kind, ""
	}
	index := "[" + strconv.Itoa(p.Index) + "]"
	if before, behind, ok := strings.Cut(p.Path, index); ok {
		if kind.path = strings.TrimPrefix(behind, "."); kind.path == "" {
			kind.path = before + "[…]"
		}
	}
	if rest, ok := strings.CutPrefix(p.Detail, "line "); ok {
		if number, detail, ok := strings.Cut(rest, ": "); ok && strings.Trim(number, "0123456789") == "" {
			line, kind.detail = number, detail
		}
	}
	return kind, line
}

// Sorted are the groups: first what concerns the request, then the largest.
func (g *ProblemGroups) Sorted() []*ProblemGroup {
	slices.SortStableFunc(g.order, func(a, b *ProblemGroup) int {
		if a.Whole != b.Whole {
			if a.Whole {
				return -1
			}
			return 1
		}
		return cmp.Compare(b.Messages, a.Messages)
	})
	return g.order
}
